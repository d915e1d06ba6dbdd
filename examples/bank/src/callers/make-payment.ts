import { randomUUID } from 'node:crypto';
import type { ApiAnswer } from './call-api.ts';
import type { AccessToken } from './obtain-token.ts';
import type { Caller } from './open-caller.ts';

/** What came of a payment: the consent's answer, then, if there was a consent, the payment's. */
export interface PaymentAnswers {
  readonly consent: ApiAnswer;
  readonly payment?: ApiAnswer;
  /** The payment's own id, when it was made. */
  readonly paymentId?: string;
}

/** Lays down a consent and pays by it, as a partner would: both signed, so that each can be shown to have been asked for. */
export async function makePayment(
  caller: Caller,
  token: AccessToken,
  { account, amount, isSigned = true }: { account: string; amount: string; isSigned?: boolean },
): Promise<PaymentAnswers> {
  const initiation = {
    InstructionIdentification: `INV-${randomUUID().slice(0, 8)}`,
    DebtorAccount: { AccountId: account },
    CreditorAccount: { Identification: 'XB88CSGN00471230824693', Name: 'Larkspur Grocers' },
    InstructedAmount: { Amount: amount, Currency: 'GBP' },
  };
  const post = (path: string, body: unknown): Promise<ApiAnswer> =>
    caller.call({
      method: 'POST',
      path: `/payments-api/${path}`,
      token,
      headers: { 'x-idempotency-key': randomUUID() },
      isSigned,
      body,
    });
  const consent = await post('domestic-payment-consents', { Data: { Initiation: initiation } });
  const ConsentId = member(consent.json, 'ConsentId');
  if (ConsentId === undefined) return { consent };
  const payment = await post('domestic-payments', { Data: { ConsentId, Initiation: initiation } });
  const paymentId = member(payment.json, 'DomesticPaymentId');
  return { consent, payment, ...(paymentId === undefined ? {} : { paymentId }) };
}

function member(json: unknown, name: string): string | undefined {
  const data = (json as { Data?: Record<string, unknown> } | undefined)?.Data;
  const value = data?.[name];
  return typeof value === 'string' ? value : undefined;
}
