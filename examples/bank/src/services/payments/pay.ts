import type { IncomingHttpHeaders } from 'node:http';
import { pence } from '../amount.ts';
import type { NextHop } from '../next-hop.ts';
import { Refusal } from '../problem.ts';
import { type Payment, type PaymentBook, statusOf } from './payment-book.ts';

/**
 * Takes a pending payment to its end: asks accounts what is available, has it booked, and keeps
 * each step. The payment's id is the booking's reference, so that doing this again after a break
 * books nothing twice.
 *
 * @throws {Refusal} 403 or 409 when it was rejected, 502 when it stays pending
 */
export async function pay(
  payment: Payment,
  {
    book,
    accounts,
    incoming,
  }: { book: PaymentBook; accounts: NextHop; incoming: IncomingHttpHeaders },
): Promise<Payment> {
  const { initiation } = payment;
  const account = `/accounts-api/accounts/${initiation.DebtorAccount.AccountId}`;
  try {
    const funds = await accounts({ method: 'GET', path: `${account}/available-funds`, incoming });
    if (funds.status === 404) throw new Refusal(409, 'debtor account unknown');
    if (funds.status !== 200) throw new Refusal(502, 'accounts did not answer');
    const { Data } = funds.body as { Data: { Available: { Amount: string } } };
    if (pence(Data.Available.Amount) < pence(initiation.InstructedAmount.Amount)) {
      throw new Refusal(409, 'funds insufficient');
    }
    const { CreditorAccount, InstructedAmount } = initiation;
    const body = {
      Data: { Reference: payment.id, Amount: InstructedAmount, Text: CreditorAccount.Name },
    };
    const debit = await accounts({ method: 'POST', path: `${account}/debits`, body, incoming });
    if (debit.status === 409) {
      const { title } = debit.body as { title?: string };
      throw new Refusal(409, title ?? 'not booked');
    }
    if (debit.status !== 201) throw new Refusal(502, 'accounts did not answer');
  } catch (error) {
    // Only a clear no ends a payment. After 502 nobody knows whether it was booked: it stays
    // pending, and asking again with the same key finds out.
    if (error instanceof Refusal && error.status !== 502 && statusOf(payment) === 'Pending') {
      await book.step(payment, 'Rejected');
    }
    throw error;
  }
  return book.step(payment, 'AcceptedSettlementCompleted');
}
