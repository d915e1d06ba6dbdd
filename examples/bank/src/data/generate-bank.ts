import { accountNumber } from './account-number.ts';
import {
  EMPLOYERS,
  FAMILY_NAMES,
  GIVEN_NAMES,
  MERCHANTS,
  type Payee,
  STANDING_PAYEES,
} from './payees.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

/** Somebody who banks here. */
export interface Customer {
  /** `customer-1842`. */
  readonly id: string;
  readonly name: string;
}

/** An account and its terms. Amounts are whole pence throughout. */
export interface Account {
  /** Five digits, what the APIs call `AccountId`. */
  readonly id: string;
  readonly holder: string;
  readonly name: string;
  readonly kind: 'CurrentAccount' | 'Savings';
  readonly currency: 'GBP';
  readonly sortCode: string;
  readonly number: string;
  readonly iban: string;
  readonly openedMs: number;
  readonly overdraft: number;
  readonly standingOrders: readonly StandingOrder[];
}

/** Paid each month. */
export interface StandingOrder {
  readonly id: string;
  readonly payee: string;
  readonly amount: number;
  /** 1 to 28. */
  readonly dayOfMonth: number;
}

/** One booked movement; `amount` is negative when money leaves. */
export interface Posting {
  readonly id: string;
  readonly account: string;
  readonly atMs: number;
  readonly amount: number;
  readonly text: string;
  readonly categoryCode: string;
  /** The balance after it. */
  readonly balance: number;
}

/** Everything that the example bank knew before anyone called it. */
export interface Bank {
  readonly customers: readonly Customer[];
  readonly accounts: ReadonlyMap<string, Account>;
  /** By account, oldest first. */
  readonly postings: ReadonlyMap<string, readonly Posting[]>;
}

/** What to generate from. */
export interface BankSeed {
  readonly seed: string;
  /** Twelve months of postings end with the UTC day before this instant. */
  readonly untilMs: number;
}

/** How many customers there are. */
export const CUSTOMER_COUNT = 200;
/** How many accounts: one for each customer, then second ones. */
export const ACCOUNT_COUNT = 400;
const DAY_MS = 86_400_000;
const DAYS = 365;

/**
 * Makes the example bank's customers, accounts and a year of postings: the same for the same seed
 * and day. Account `22289` always exists and belongs to `customer-1842`.
 */
export function generateBank({ seed, untilMs }: BankSeed): Bank {
  const endMs = Math.floor(untilMs / DAY_MS) * DAY_MS;
  const random = seededRandom(seed);
  const customers = Array.from({ length: CUSTOMER_COUNT }, (_, index) => ({
    id: `customer-${1801 + index}`,
    name: `${random.pick(GIVEN_NAMES)} ${random.pick(FAMILY_NAMES)}`,
  }));
  const accounts = new Map<string, Account>();
  const postings = new Map<string, readonly Posting[]>();
  for (let index = 0; index < ACCOUNT_COUNT; index += 1) {
    const id = accountIdAt(index);
    // A stream of its own for each account: changing one leaves the others as they were.
    const own = seededRandom(`${seed} account ${id}`);
    const holder = index < CUSTOMER_COUNT ? customers[index] : own.pick(customers);
    const account = makeAccount(id, holder as Customer, index < CUSTOMER_COUNT, endMs, own);
    accounts.set(id, account);
    postings.set(id, yearOf(account, endMs, own));
  }
  return { customers, accounts, postings };
}

/** The id of the account at that place, from 0 to {@link ACCOUNT_COUNT} - 1. */
export function accountIdAt(index: number): string {
  return String(22_002 + 7 * index);
}

function makeAccount(
  id: string,
  holder: Customer,
  isFirst: boolean,
  endMs: number,
  random: SeededRandom,
): Account {
  const isCurrent = isFirst || random.next() < 0.3;
  return {
    id,
    holder: holder.id,
    name: holder.name,
    kind: isCurrent ? 'CurrentAccount' : 'Savings',
    currency: 'GBP',
    ...accountNumber(Number(id)),
    openedMs: endMs - random.between(400, 6_000) * DAY_MS,
    overdraft: isCurrent ? random.between(0, 4) * 25_000 : 0,
    standingOrders: isCurrent ? standingOrders(id, random) : [],
  };
}

function standingOrders(account: string, random: SeededRandom): StandingOrder[] {
  return STANDING_PAYEES.filter(() => random.next() < 0.6).map((payee, index) => ({
    id: `SO-${account}-${index + 1}`,
    payee: payee.name,
    amount: amountAt(payee, random),
    dayOfMonth: random.between(1, 28),
  }));
}

/** A year of movements in time order, each with the balance after it. */
function yearOf(account: Account, endMs: number, random: SeededRandom): Posting[] {
  const orders = account.standingOrders.reduce((sum, order) => sum + order.amount, 0);
  const employer = random.pick(EMPLOYERS);
  // Pay covers the standing orders and some living, so that most people end a month above zero.
  const salary = orders + random.between(110_000, 290_000);
  const payDay = random.between(22, 28);
  const perDay = account.kind === 'CurrentAccount' ? 0.6 + random.next() * 0.9 : 0;
  const posted: Posting[] = [];
  let balance = random.between(40_000, 900_000);
  const post = (atMs: number, amount: number, text: string, categoryCode: string): void => {
    balance += amount;
    const id = `P-${account.id}-${String(posted.length + 1).padStart(5, '0')}`;
    posted.push({ id, account: account.id, atMs, amount, text, categoryCode, balance });
  };
  for (let day = DAYS; day >= 1; day -= 1) {
    const dayMs = endMs - day * DAY_MS;
    const dayOfMonth = new Date(dayMs).getUTCDate();
    if (account.kind === 'Savings') {
      if (dayOfMonth === 1) post(dayMs, Math.round(Math.max(balance, 0) * 0.0027), 'Interest', '');
      if (random.next() < 0.03)
        post(dayMs + 9 * 3_600_000, random.between(20, 400) * 100, 'Deposit', '');
      continue;
    }
    if (dayOfMonth === payDay) post(dayMs + 3_600_000, salary, `Salary ${employer}`, '');
    for (const order of account.standingOrders) {
      if (order.dayOfMonth === dayOfMonth) {
        post(dayMs + 2 * 3_600_000, -order.amount, order.payee, categoryOf(order.payee));
      }
    }
    const times = Array.from({ length: random.poisson(perDay) }, () => random.between(420, 1_370));
    for (const minute of times.sort((a, b) => a - b)) {
      const merchant = random.pick(MERCHANTS);
      const amount = amountAt(merchant, random);
      // A card is declined rather than taken beyond the overdraft.
      if (balance - amount < -account.overdraft) continue;
      post(dayMs + minute * 60_000, -amount, merchant.name, merchant.categoryCode);
    }
  }
  return posted;
}

function amountAt(payee: Payee, random: SeededRandom): number {
  return Math.max(50, Math.round(payee.usual * Math.exp(payee.spread * random.normal())));
}

function categoryOf(payee: string): string {
  return STANDING_PAYEES.find(({ name }) => name === payee)?.categoryCode ?? '';
}
