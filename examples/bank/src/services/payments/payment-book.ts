import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openJournal } from '../journal.ts';
import type { Initiation } from './shapes.ts';

/** What a partner laid down before paying it. */
export interface PaymentConsent {
  readonly id: string;
  readonly partner: string;
  readonly createdMs: number;
  readonly initiation: Initiation;
  /** The payment that used it up. */
  readonly payment?: string;
}

/** The Open Banking words for where a payment stands. */
export type PaymentStatus = 'Pending' | 'AcceptedSettlementCompleted' | 'Rejected';

/** A payment; `Pending` until the core has booked it or somebody refused. */
export interface Payment {
  readonly id: string;
  readonly partner: string;
  readonly consent: string;
  readonly createdMs: number;
  readonly initiation: Initiation;
  readonly steps: readonly { readonly status: PaymentStatus; readonly atMs: number }[];
}

/** Found by its idempotency key, or new; `conflict` when the key or the consent was used already. */
export type Kept<T> =
  | { readonly kind: 'new' | 'known'; readonly value: T }
  | { readonly kind: 'conflict' };

/** Consents and payments, each change on disk before it is told. Others' look like none. */
export interface PaymentBook {
  consent(partner: string, id: string): PaymentConsent | undefined;
  payment(partner: string, id: string): Payment | undefined;
  createConsent(
    partner: string,
    key: string,
    initiation: Initiation,
  ): Promise<Kept<PaymentConsent>>;
  /** Begins a payment as `Pending` and uses its consent up. */
  beginPayment(partner: string, key: string, consent: PaymentConsent): Promise<Kept<Payment>>;
  step(payment: Payment, status: PaymentStatus): Promise<Payment>;
  close(): Promise<void>;
}

type Entry =
  | { readonly kind: 'consent'; readonly key: string; readonly consent: PaymentConsent }
  | { readonly kind: 'payment'; readonly key: string; readonly payment: Payment }
  | {
      readonly kind: 'step';
      readonly id: string;
      readonly status: PaymentStatus;
      readonly atMs: number;
    };

/** Opens the book in `folder`. */
export async function openPaymentBook(folder: string, now: () => number): Promise<PaymentBook> {
  const journal = await openJournal<Entry>(join(folder, 'payments.ndjson'));
  const consents = new Map<string, PaymentConsent>();
  const payments = new Map<string, Payment>();
  // What each key stands for, while it is being written too: two requests at once are one.
  const keys = new Map<string, { digest: string; id: string; written: Promise<void> }>();
  // Which key used a consent up: it pays once.
  const consumers = new Map<string, string>();

  const take = (entry: Entry): void => {
    if (entry.kind === 'consent') consents.set(entry.consent.id, entry.consent);
    else if (entry.kind === 'payment') {
      const { payment } = entry;
      payments.set(payment.id, payment);
      const consent = consents.get(payment.consent);
      if (consent) consents.set(consent.id, { ...consent, payment: payment.id });
    } else {
      const { id, status, atMs } = entry;
      const payment = payments.get(id);
      if (payment) payments.set(id, { ...payment, steps: [...payment.steps, { status, atMs }] });
    }
  };
  for (const entry of journal.entries) {
    take(entry);
    if (entry.kind === 'step') continue;
    const subject = entry.kind === 'consent' ? entry.consent : entry.payment;
    const digest = digestOf(entry.kind, subject.initiation, consentIdOf(entry));
    const written = Promise.resolve();
    const key = keyOf(entry.kind, subject.partner, entry.key);
    keys.set(key, { digest, id: subject.id, written });
    if (entry.kind === 'payment') consumers.set(entry.payment.consent, key);
  }

  const keep = async (
    entry: Extract<Entry, { kind: 'consent' | 'payment' }>,
  ): Promise<string | undefined> => {
    const subject = entry.kind === 'consent' ? entry.consent : entry.payment;
    const key = keyOf(entry.kind, subject.partner, entry.key);
    const digest = digestOf(entry.kind, subject.initiation, consentIdOf(entry));
    const known = keys.get(key);
    if (known) {
      await known.written;
      return known.digest === digest ? known.id : undefined;
    }
    if (entry.kind === 'payment') {
      if (consumers.has(entry.payment.consent)) return undefined;
      consumers.set(entry.payment.consent, key);
    }
    const written = journal.append(entry).then(() => take(entry));
    keys.set(key, { digest, id: subject.id, written });
    await written;
    return subject.id;
  };

  const own = <T extends { partner: string }>(
    partner: string,
    value: T | undefined,
  ): T | undefined => (value?.partner === partner ? value : undefined);

  return {
    consent: (partner, id) => own(partner, consents.get(id)),
    payment: (partner, id) => own(partner, payments.get(id)),
    createConsent: async (partner, key, initiation) => {
      const consent: PaymentConsent = { id: freshId(), partner, createdMs: now(), initiation };
      const id = await keep({ kind: 'consent', key, consent });
      return keptAs(id, consent.id, id === undefined ? undefined : consents.get(id));
    },
    beginPayment: async (partner, key, consent) => {
      const createdMs = now();
      const { initiation } = consent;
      const steps = [{ status: 'Pending' as const, atMs: createdMs }];
      const payment = { id: freshId(), partner, consent: consent.id, createdMs, initiation, steps };
      const id = await keep({ kind: 'payment', key, payment });
      return keptAs(id, payment.id, id === undefined ? undefined : payments.get(id));
    },
    step: async ({ id }, status) => {
      const entry: Entry = { kind: 'step', id, status, atMs: now() };
      await journal.append(entry);
      take(entry);
      return payments.get(id) as Payment;
    },
    close: () => journal.close(),
  };
}

/** Where a payment stands now. */
export function statusOf(payment: Payment): PaymentStatus {
  return payment.steps.at(-1)?.status ?? 'Pending';
}

function keptAs<T>(id: string | undefined, freshId: string, value: T | undefined): Kept<T> {
  if (id === undefined || value === undefined) return { kind: 'conflict' };
  return { kind: id === freshId ? 'new' : 'known', value };
}

function freshId(): string {
  return randomBytes(16).toString('base64url');
}

function keyOf(kind: string, partner: string, key: string): string {
  return `${kind} ${partner} ${key}`;
}

function consentIdOf(entry: Extract<Entry, { kind: 'consent' | 'payment' }>): string {
  return entry.kind === 'payment' ? entry.payment.consent : '';
}

/** What was asked, independent of the order in which members came. */
function digestOf(kind: string, initiation: Initiation, consent: string): string {
  const { InstructionIdentification, DebtorAccount, CreditorAccount, InstructedAmount } =
    initiation;
  const asked = [
    kind,
    consent,
    InstructionIdentification,
    DebtorAccount.AccountId,
    CreditorAccount.Identification,
    CreditorAccount.Name,
    InstructedAmount.Amount,
    InstructedAmount.Currency,
  ];
  return createHash('sha256').update(JSON.stringify(asked)).digest('base64url');
}

/** True when both ask for the same payment. */
export function isSameInitiation(one: Initiation, other: Initiation): boolean {
  return digestOf('initiation', one, '') === digestOf('initiation', other, '');
}
