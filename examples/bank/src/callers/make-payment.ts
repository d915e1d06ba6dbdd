import { randomUUID } from 'node:crypto';
import type { Initiation } from '../services/payments/shapes.ts';
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

/** From which account, and how much. */
export interface PaymentWish {
  readonly account: string;
  readonly amount: string;
  readonly isSigned?: boolean;
}

/** Lays down a consent and pays by it, as a partner would: both signed, so that each can be shown to have been asked for. */
export async function makePayment(
  caller: Pick<Caller, 'call'>,
  token: AccessToken,
  wish: PaymentWish,
): Promise<PaymentAnswers> {
  const { consent, content } = await layDownPayment(caller, token, wish);
  if (content === undefined) return { consent };
  const payment = await pay(caller, token, { content, isSigned: wish.isSigned ?? true });
  const paymentId = member(payment.json, 'DomesticPaymentId');
  return { consent, payment, ...(paymentId === undefined ? {} : { paymentId }) };
}

/** What is sent to have a consent paid. */
export interface PaymentContent {
  readonly Data: { readonly ConsentId: string; readonly Initiation: Initiation };
}

/** Lays down what is to be paid; the content of the payment itself, when there is a consent. */
export async function layDownPayment(
  caller: Pick<Caller, 'call'>,
  token: AccessToken,
  { account, amount, isSigned = true }: PaymentWish,
): Promise<{ readonly consent: ApiAnswer; readonly content?: PaymentContent }> {
  const Initiation: Initiation = {
    InstructionIdentification: `INV-${randomUUID().slice(0, 8)}`,
    DebtorAccount: { AccountId: account },
    CreditorAccount: { Identification: 'XB88CSGN00471230824693', Name: 'Larkspur Grocers' },
    InstructedAmount: { Amount: amount, Currency: 'GBP' },
  };
  const path = '/payments-api/domestic-payment-consents';
  const body = { Data: { Initiation } };
  const consent = await post(caller, { path, token, isSigned, body });
  const ConsentId = member(consent.json, 'ConsentId');
  if (ConsentId === undefined) return { consent };
  return { consent, content: { Data: { ConsentId, Initiation } } };
}

/** Asks for the payment. */
export function pay(
  caller: Pick<Caller, 'call'>,
  token: AccessToken,
  { content: body, isSigned = true }: { content: PaymentContent; isSigned?: boolean },
): Promise<ApiAnswer> {
  return post(caller, { path: '/payments-api/domestic-payments', token, isSigned, body });
}

function post(
  caller: Pick<Caller, 'call'>,
  request: { path: string; token: AccessToken; isSigned: boolean; body: unknown },
): Promise<ApiAnswer> {
  const headers = { 'x-idempotency-key': randomUUID() };
  return caller.call({ method: 'POST', headers, ...request });
}

function member(json: unknown, name: string): string | undefined {
  const data = (json as { Data?: Record<string, unknown> } | undefined)?.Data;
  const value = data?.[name];
  return typeof value === 'string' ? value : undefined;
}
