import type { Posting, StandingOrder } from '../../data/generate-bank.ts';
import { apiAmount, creditOrDebit } from '../amount.ts';

/** The core's account master, as its description says. */
export interface AccountMaster {
  readonly number: string;
  readonly name: string;
  readonly kind: 'CurrentAccount' | 'Savings';
  readonly currency: string;
  readonly sortCode: string;
  readonly accountNumber: string;
  readonly iban: string;
  readonly opened: string;
  readonly overdraft: number;
  readonly balance: number;
  readonly standingOrders: readonly StandingOrder[];
}

/** The frame of every answer of the API. */
export function framed(
  data: Record<string, unknown>,
  self: string,
  pages: { total: number; next?: string } = { total: 1 },
): Record<string, unknown> {
  return {
    Data: data,
    Links: { Self: self, ...(pages.next === undefined ? {} : { Next: pages.next }) },
    Meta: { TotalPages: pages.total },
  };
}

/** What can be paid from an account now, in pence. */
export function available({ balance, overdraft }: AccountMaster): number {
  return balance + overdraft;
}

/** An account as partners see it: no holder's customer number, no overdraft. */
export function apiAccount(master: AccountMaster): Record<string, unknown> {
  const { number, name, kind, currency, sortCode, accountNumber, iban, opened } = master;
  const identification = `${sortCode.replaceAll('-', '')}${accountNumber}`;
  return {
    AccountId: number,
    Currency: currency,
    AccountType: 'Personal',
    AccountSubType: kind,
    Nickname: kind === 'Savings' ? 'Savings' : 'Everyday',
    OpeningDate: opened,
    Account: [
      { SchemeName: 'SortCodeAccountNumber', Identification: identification, Name: name },
      { SchemeName: 'IBAN', Identification: iban, Name: name },
    ],
  };
}

/** Booked and available balance at an instant. */
export function apiBalances(master: AccountMaster, atMs: number): Record<string, unknown>[] {
  const one = (type: string, pence: number): Record<string, unknown> => ({
    AccountId: master.number,
    Type: type,
    CreditDebitIndicator: creditOrDebit(pence),
    DateTime: new Date(atMs).toISOString(),
    Amount: apiAmount(Math.abs(pence)),
  });
  return [one('InterimBooked', master.balance), one('InterimAvailable', available(master))];
}

/** One movement. */
export function apiTransaction(posting: Posting): Record<string, unknown> {
  const { id, account, atMs, amount, text, categoryCode, balance } = posting;
  return {
    AccountId: account,
    TransactionId: id,
    CreditDebitIndicator: creditOrDebit(amount),
    Status: 'Booked',
    BookingDateTime: new Date(atMs).toISOString(),
    Amount: apiAmount(Math.abs(amount)),
    TransactionInformation: text,
    ...(categoryCode === '' ? {} : { MerchantCategoryCode: categoryCode }),
    Balance: apiAmount(balance),
  };
}

/** One standing order. */
export function apiStandingOrder(account: string, order: StandingOrder): Record<string, unknown> {
  return {
    AccountId: account,
    StandingOrderId: order.id,
    Frequency: `IntrvlMnthDay:01:${String(order.dayOfMonth).padStart(2, '0')}`,
    Payee: order.payee,
    Amount: apiAmount(order.amount),
  };
}
