import {
  ACCOUNT_COUNT,
  accountNumber,
  CUSTOMER_COUNT,
  generateBank,
  modulo97,
  OPENED_ACCOUNTS,
  openedTo,
  seededRandom,
} from '@countersign/example-bank';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const untilMs = Date.UTC(2026, 10, 20);
const bank = generateBank({ seed: 'test', untilMs });

test('the same seed and day give the same bank', () => {
  const again = generateBank({ seed: 'test', untilMs: untilMs + 3_600_000 });
  expect(again.customers).toEqual(bank.customers);
  expect(again.accounts.get('22289')).toEqual(bank.accounts.get('22289'));
  expect(again.postings.get('22289')).toEqual(bank.postings.get('22289'));
  expect([...again.postings.values()].flat().length).toBe(
    [...bank.postings.values()].flat().length,
  );
});

test('another seed gives another bank', () => {
  const other = generateBank({ seed: 'other', untilMs });
  expect(other.postings.get('22289')).not.toEqual(bank.postings.get('22289'));
});

test('there are two hundred customers and four hundred accounts, customer-1842 holding 22289', () => {
  expect(bank.customers).toHaveLength(CUSTOMER_COUNT);
  expect(bank.accounts.size).toBe(ACCOUNT_COUNT);
  expect(bank.accounts.get('22289')?.holder).toBe('customer-1842');
});

test('every balance is the one before and the amount, in time order, within the year', () => {
  const wrong = [...bank.postings].flatMap(([id, postings]) =>
    postings.filter(({ account, amount, atMs, balance }, index) => {
      const before = postings[index - 1];
      const isNext = !before || (balance === before.balance + amount && atMs >= before.atMs);
      const isWithin = atMs >= untilMs - 365 * 86_400_000 && atMs < untilMs;
      return !(isNext && isWithin && Number.isSafeInteger(amount) && account === id);
    }),
  );
  expect(wrong).toEqual([]);
});

test('current accounts get a salary each month and pay their standing orders', () => {
  const postings = bank.postings.get('22289') ?? [];
  expect(postings.filter(({ text }) => text.startsWith('Salary '))).toHaveLength(12);
  const [order] = bank.accounts.get('22289')?.standingOrders ?? [];
  expect(order).toBeDefined();
  expect(postings.filter(({ text }) => text === order?.payee).length).toBeGreaterThanOrEqual(11);
});

test('account numbers are unique and carry the check digits of ISO 13616', () => {
  const numbers = [...bank.accounts.values()];
  expect(new Set(numbers.map(({ iban }) => iban)).size).toBe(ACCOUNT_COUNT);
  for (const { iban } of numbers) expect(modulo97(iban.slice(4) + iban.slice(0, 4))).toBe(1);
});

test('a mistyped digit of an account number is found by its check digits', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 99_999 }),
      fc.nat(7),
      fc.integer({ min: 1, max: 9 }),
      (id, at, by) => {
        const { iban } = accountNumber(id);
        const index = iban.length - 1 - at;
        const digit = (Number(iban[index]) + by) % 10;
        const wrong = `${iban.slice(0, index)}${digit}${iban.slice(index + 1)}`;
        expect(modulo97(wrong.slice(4) + wrong.slice(0, 4))).not.toBe(1);
      },
    ),
  );
});

test('accounts opened to partners exist, and nobody else has any', () => {
  for (const [partner, accounts] of Object.entries(OPENED_ACCOUNTS)) {
    expect(accounts.every((id) => bank.accounts.has(id))).toBe(true);
    expect(openedTo(`spiffe://bank.example/partner/${partner}`)).toEqual(accounts);
  }
  expect(openedTo('spiffe://bank.example/workload/payments/api')).toEqual([]);
  expect(openedTo('spiffe://bank.example/partner/constructor')).toEqual([]);
  expect(openedTo('customer-1842')).toEqual([]);
});

test('seeded numbers stay within their bounds', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.integer({ min: -1000, max: 1000 }),
      fc.nat(1000),
      (seed, low, span) => {
        const random = seededRandom(seed);
        const drawn = random.between(low, low + span);
        expect(drawn).toBeGreaterThanOrEqual(low);
        expect(drawn).toBeLessThanOrEqual(low + span);
        expect(Number.isFinite(random.normal())).toBe(true);
        expect(random.poisson(3)).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});
