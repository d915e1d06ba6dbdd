import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, type Bank, generateBank, type Posting } from '../../data/generate-bank.ts';
import { openJournal } from '../journal.ts';

/** A movement to book; negative amounts leave the account. */
export interface Booking {
  readonly account: string;
  /** The same reference books once. */
  readonly reference: string;
  readonly amount: number;
  readonly text: string;
  /** The transaction that asked for it, for whoever compares the journal with the record. */
  readonly transaction?: string;
}

/** One line of the core's journal. */
export interface JournalLine extends Booking {
  readonly id: string;
  readonly atMs: number;
  readonly balance: number;
}

/** What became of a booking. */
export type BookingResult =
  | { readonly kind: 'booked'; readonly posting: Posting }
  | { readonly kind: 'account-unknown' | 'funds-insufficient' | 'reference-used' };

/** Which postings, newest first. */
export interface PostingQuery {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly offset: number;
  readonly limit: number;
}

/** The books of the example bank: a generated past, and what has been booked since. */
export interface Ledger {
  account(number: string): Account | undefined;
  balance(number: string): number;
  postings(number: string, query: PostingQuery): { postings: readonly Posting[]; total: number };
  /** Resolves when the booking is on disk. */
  book(booking: Booking): Promise<BookingResult>;
  close(): Promise<void>;
}

/** The journal in the core's data folder: one line for each posting since the bank was made. */
export const JOURNAL_FILE = 'journal.ndjson';

/** Opens the books in `folder`. The generated past is fixed when the folder is first used. */
export async function openLedger(options: {
  folder: string;
  now: () => number;
  seed: string;
}): Promise<Ledger> {
  const { folder, now, seed } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const bank = generateBank({ seed, untilMs: beginning(folder, now) });
  const journal = await openJournal<JournalLine>(join(folder, JOURNAL_FILE));
  const books = new Map([...bank.postings].map(([id, postings]) => [id, [...postings]]));
  const byReference = new Map<string, { booking: Booking; result: Promise<BookingResult> }>();
  for (const line of journal.entries) {
    const posting = postingOf(line);
    books.get(line.account)?.push(posting);
    const result = Promise.resolve<BookingResult>({ kind: 'booked', posting });
    byReference.set(line.reference, { booking: line, result });
  }
  const balance = (number: string): number => books.get(number)?.at(-1)?.balance ?? 0;

  return {
    account: (number) => bank.accounts.get(number),
    balance,
    postings: (number, query) => pageOf(books.get(number) ?? [], query),
    book: (booking) => {
      const earlier = byReference.get(booking.reference);
      if (earlier) {
        return isSame(earlier.booking, booking)
          ? earlier.result
          : Promise.resolve({ kind: 'reference-used' });
      }
      const refusal = whyNot(bank, balance, booking);
      if (refusal) return Promise.resolve(refusal);
      const atMs = now();
      const rows = books.get(booking.account) as Posting[];
      const id = `P-${booking.account}-${String(rows.length + 1).padStart(5, '0')}`;
      const line = { ...booking, id, atMs, balance: balance(booking.account) + booking.amount };
      // In memory at once, so that a second booking sees the funds gone; told when it is on disk.
      // If the disk refuses, the journal refuses everything from then on.
      const posting = postingOf(line);
      rows.push(posting);
      const result = journal.append(line).then((): BookingResult => ({ kind: 'booked', posting }));
      byReference.set(booking.reference, { booking, result });
      return result;
    },
    close: () => journal.close(),
  };
}

/** When this folder's bank began: kept, so that a restart tomorrow finds the same books. */
function beginning(folder: string, now: () => number): number {
  const file = join(folder, 'beginning');
  try {
    const kept = Number(readFileSync(file, 'utf8'));
    if (Number.isSafeInteger(kept) && kept > 0) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const beginningMs = now();
  writeFileSync(file, String(beginningMs), { mode: 0o600 });
  return beginningMs;
}

function whyNot(
  bank: Bank,
  balance: (number: string) => number,
  booking: Booking,
): BookingResult | undefined {
  const account = bank.accounts.get(booking.account);
  if (!account) return { kind: 'account-unknown' };
  const after = balance(booking.account) + booking.amount;
  if (booking.amount < 0 && after < -account.overdraft) return { kind: 'funds-insufficient' };
  return undefined;
}

function isSame(one: Booking, other: Booking): boolean {
  return one.account === other.account && one.amount === other.amount && one.text === other.text;
}

function postingOf({ id, account, atMs, amount, text, balance }: JournalLine): Posting {
  return { id, account, atMs, amount, text, categoryCode: '', balance };
}

function pageOf(
  rows: readonly Posting[],
  { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, offset, limit }: PostingQuery,
): { postings: readonly Posting[]; total: number } {
  const within = rows.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).reverse();
  return { postings: within.slice(offset, offset + limit), total: within.length };
}
