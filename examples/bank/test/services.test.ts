import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  HEADER_LOG_FILE,
  type HeaderLogEntry,
  JOURNAL_FILE,
  type JournalLine,
} from '@countersign/example-bank';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Asked, type RunningBank, startBank, transactionFor } from './running-bank.ts';

const faults: Error[] = [];
let bank: RunningBank;
beforeAll(async () => {
  bank = await startBank(faults);
});
afterAll(async () => {
  await bank.close();
  expect(faults).toEqual([]);
});

const ledgerly = { 'txn-token': transactionFor('ledgerly') };

function journal(): JournalLine[] {
  const text = readFileSync(join(bank.folder, 'core', JOURNAL_FILE), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

function initiation(account: string, amount: string, name = 'INV-1'): unknown {
  return {
    InstructionIdentification: name,
    DebtorAccount: { AccountId: account },
    CreditorAccount: { Identification: 'XB88CSGN00471230824693', Name: 'Larkspur Grocers' },
    InstructedAmount: { Amount: amount, Currency: 'GBP' },
  };
}

let keys = 0;
async function consentFor(
  what: unknown,
  headers: Record<string, string> = ledgerly,
): Promise<string> {
  keys += 1;
  const answer = await bank.ask('payments', '/payments-api/domestic-payment-consents', {
    method: 'POST',
    headers: { ...headers, 'x-idempotency-key': `consent-${keys}` },
    body: { Data: { Initiation: what } },
  });
  expect(answer.status).toBe(201);
  return answer.json.Data.ConsentId;
}

function payBy(consent: string, what: unknown, key: string, txn = 't-pay'): Promise<Asked> {
  return bank.ask('payments', '/payments-api/domestic-payments', {
    method: 'POST',
    headers: {
      'txn-token': transactionFor('ledgerly', 'payments', txn),
      'x-idempotency-key': key,
    },
    body: { Data: { ConsentId: consent, Initiation: what } },
  });
}

test('accounts answers with what the core holds, without the holder’s number', async () => {
  const answer = await bank.ask('accounts', '/accounts-api/accounts/22289', { headers: ledgerly });
  expect(answer.status).toBe(200);
  expect(answer.json.Data.Account[0]).toMatchObject({ AccountId: '22289', Currency: 'GBP' });
  expect(answer.text).not.toContain('customer-1842');
});

test('a partner’s list is what was opened to it, and a workload’s list is refused', async () => {
  const answer = await bank.ask('accounts', '/accounts-api/accounts', { headers: ledgerly });
  const ids = answer.json.Data.Account.map((account: { AccountId: string }) => account.AccountId);
  expect(ids).toEqual(['22289', '22296', '22303']);
  const nobody = await bank.ask('accounts', '/accounts-api/accounts');
  expect(nobody.status).toBe(403);
  expect(nobody.type).toContain('application/problem+json');
});

test('transactions come in pages, newest first, within the asked time', async () => {
  const base = '/accounts-api/accounts/22289/transactions';
  const first = await bank.ask('accounts', `${base}?pageSize=10`, { headers: ledgerly });
  expect(first.json.Data.Transaction).toHaveLength(10);
  const second = await bank.ask('accounts', first.json.Links.Next, { headers: ledgerly });
  const times = [...first.json.Data.Transaction, ...second.json.Data.Transaction].map(
    (transaction: { BookingDateTime: string }) => transaction.BookingDateTime,
  );
  expect(times).toEqual([...times].sort().reverse());
  expect(new Set([first.text, second.text]).size).toBe(2);
  const from = '2026-11-01T00:00:00Z';
  const within = await bank.ask('accounts', `${base}?fromBookingDateTime=${from}&pageSize=500`, {
    headers: ledgerly,
  });
  expect(within.json.Data.Transaction.length).toBeGreaterThan(0);
  expect(within.json.Meta.TotalPages).toBe(1);
  for (const { BookingDateTime } of within.json.Data.Transaction) {
    expect(BookingDateTime >= '2026-11-01').toBe(true);
  }
});

test.each([
  ['page=0', 400],
  ['page=1', 200],
  ['page=10000', 200],
  ['page=10001', 400],
  ['pageSize=500', 200],
  ['pageSize=501', 400],
  ['fromBookingDateTime=yesterday', 400],
  ['unknown=1', 400],
])('transactions asked with %s are answered %i', async (query, status) => {
  const path = `/accounts-api/accounts/22289/transactions?${query}`;
  expect((await bank.ask('accounts', path, { headers: ledgerly })).status).toBe(status);
});

test('a payment is booked once, under its transaction, and taken off the balance', async () => {
  const path = '/accounts-api/accounts/22289/available-funds';
  const before = await bank.ask('accounts', path, { headers: ledgerly });
  const what = initiation('22289', '12.50');
  const consent = await consentFor(what);
  const paid = await payBy(consent, what, 'pay-1', 't-once');
  expect(paid.status).toBe(201);
  expect(paid.json.Data.Status).toBe('AcceptedSettlementCompleted');
  const lines = journal().filter(({ transaction }) => transaction === 't-once');
  expect(lines).toMatchObject([
    { account: '22289', amount: -1250, reference: paid.json.Data.DomesticPaymentId },
  ]);
  const after = await bank.ask('accounts', path, { headers: ledgerly });
  const available = (answer: Asked): number => Number(answer.json.Data.Available.Amount);
  expect(available(before) - available(after)).toBeCloseTo(12.5, 5);
});

test('the same key asks for the same payment, twice or at once', async () => {
  const what = initiation('22289', '3.00', 'INV-2');
  const consent = await consentFor(what);
  const answers = await Promise.all(
    [1, 2, 3, 4].map(() => payBy(consent, what, 'pay-2', 't-same')),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
  expect(new Set(answers.map(({ json }) => json.Data.DomesticPaymentId)).size).toBe(1);
  expect((await payBy(consent, what, 'pay-2', 't-same')).status).toBe(201);
  expect(journal().filter(({ transaction }) => transaction === 't-same')).toHaveLength(1);
});

test('a consent pays once: another key is a conflict, even at the same moment', async () => {
  const what = initiation('22289', '2.00', 'INV-3');
  const consent = await consentFor(what);
  const answers = await Promise.all(
    ['a', 'b'].map((key) => payBy(consent, what, `pay-3${key}`, 't-two')),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
  expect(journal().filter(({ transaction }) => transaction === 't-two')).toHaveLength(1);
});

test('a payment for something else than was consented to is a conflict', async () => {
  const consent = await consentFor(initiation('22289', '2.00', 'INV-4'));
  expect((await payBy(consent, initiation('22289', '20.00', 'INV-4'), 'pay-4')).status).toBe(409);
});

test('a payment beyond the funds is rejected and stays so', async () => {
  const what = initiation('22289', '999999999.99', 'INV-5');
  const consent = await consentFor(what);
  const answer = await payBy(consent, what, 'pay-5', 't-poor');
  expect([answer.status, answer.json.title]).toEqual([409, 'funds insufficient']);
  expect((await payBy(consent, what, 'pay-5', 't-poor')).status).toBe(409);
  expect(journal().filter(({ transaction }) => transaction === 't-poor')).toHaveLength(0);
});

test('another partner’s consents and payments look like none', async () => {
  const what = initiation('22289', '1.00', 'INV-6');
  const consent = await consentFor(what);
  const harvest = { 'txn-token': transactionFor('harvest') };
  const path = `/payments-api/domestic-payment-consents/${consent}`;
  expect((await bank.ask('payments', path, { headers: ledgerly })).status).toBe(200);
  expect((await bank.ask('payments', path, { headers: harvest })).status).toBe(404);
  const made = await bank.ask('accounts', '/accounts-api/account-access-consents', {
    method: 'POST',
    headers: ledgerly,
    body: { Data: { Permissions: ['ReadBalances'], AccountIds: ['22289'] } },
  });
  const own = `/accounts-api/account-access-consents/${made.json.Data.ConsentId}`;
  expect((await bank.ask('accounts', own, { headers: harvest })).status).toBe(404);
  expect((await bank.ask('accounts', own, { method: 'DELETE', headers: harvest })).status).toBe(
    404,
  );
  expect((await bank.ask('accounts', own, { method: 'DELETE', headers: ledgerly })).status).toBe(
    204,
  );
  expect((await bank.ask('accounts', own, { headers: ledgerly })).status).toBe(404);
});

test('bodies are taken as described or not at all', async () => {
  const refused = async (body: unknown): Promise<number> =>
    (
      await bank.ask('payments', '/payments-api/domestic-payment-consents', {
        method: 'POST',
        headers: { ...ledgerly, 'x-idempotency-key': 'strict' },
        body,
      })
    ).status;
  const good = initiation('22289', '1.00') as Record<string, unknown>;
  expect(await refused({ Data: { Initiation: { ...good, Extra: 1 } } })).toBe(400);
  expect(
    await refused({
      Data: { Initiation: { ...good, InstructedAmount: { Amount: 1, Currency: 'GBP' } } },
    }),
  ).toBe(400);
  expect(
    await refused({
      Data: { Initiation: { ...good, InstructedAmount: { Amount: '-1.00', Currency: 'GBP' } } },
    }),
  ).toBe(400);
  expect(await refused({})).toBe(400);
  const noKey = await bank.ask('payments', '/payments-api/domestic-payment-consents', {
    method: 'POST',
    headers: ledgerly,
    body: { Data: { Initiation: good } },
  });
  expect(noKey.status).toBe(400);
});

test('a follower hears of postings on its own accounts only', async () => {
  const follow = async (partner: string) =>
    bank.agentOf('accounts').request({
      origin: 'http://accounts',
      path: '/accounts-api/events',
      method: 'GET',
      headers: { 'txn-token': transactionFor(partner) },
    });
  const mine = await follow('ledgerly');
  const others = await follow('harvest');
  const heard = readUntil(mine.body, 'event: posting');
  const beat = readUntil(others.body, ': beat');
  const debit = await bank.ask('accounts', '/accounts-api/accounts/22296/debits', {
    method: 'POST',
    headers: ledgerly,
    body: {
      Data: { Reference: 'follow-1', Amount: { Amount: '0.50', Currency: 'GBP' }, Text: 'Test' },
    },
  });
  expect(debit.status).toBe(201);
  expect(await heard).toContain('"AccountId":"22296"');
  expect(await beat).not.toContain('event: posting');
});

async function readUntil(body: AsyncIterable<Uint8Array>, word: string): Promise<string> {
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.includes(word)) break;
  }
  return text;
}

test('services note the names of headers, and no value of any', async () => {
  await bank.ask('accounts', '/accounts-api/accounts/22289', {
    headers: {
      'txn-token': transactionFor('ledgerly', 'accounts', 't-noted'),
      'X-Odd': 'secret-value',
    },
  });
  const text = readFileSync(join(bank.folder, 'accounts', HEADER_LOG_FILE), 'utf8');
  const entries: HeaderLogEntry[] = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  const noted = entries.find(({ txn }) => txn === 't-noted');
  expect(noted?.names).toEqual(expect.arrayContaining(['txn-token', 'x-odd']));
  expect(text).not.toContain('secret-value');
  expect(statSync(join(bank.folder, 'accounts', HEADER_LOG_FILE)).mode & 0o777).toBe(0o600);
});

test('what was booked and consented to is there after a restart', async () => {
  const what = initiation('22289', '4.00', 'INV-7');
  const consent = await consentFor(what);
  const paid = await payBy(consent, what, 'pay-7', 't-kept');
  const id = paid.json.Data.DomesticPaymentId;
  const master = await bank.ask('core', '/core/accounts/22289');
  await bank.restart();
  expect((await bank.ask('core', '/core/accounts/22289')).json).toEqual(master.json);
  const path = `/payments-api/domestic-payments/${id}/payment-details`;
  const details = await bank.ask('payments', path, { headers: ledgerly });
  expect(details.json.Data.PaymentStatus.map((step: { Status: string }) => step.Status)).toEqual([
    'Pending',
    'AcceptedSettlementCompleted',
  ]);
  expect((await payBy(consent, what, 'pay-7', 't-kept')).json.Data.DomesticPaymentId).toBe(id);
  expect(journal().filter(({ transaction }) => transaction === 't-kept')).toHaveLength(1);
});

test('the core takes no booking that does not fit, and none twice', async () => {
  const book = (body: unknown): Promise<Asked> =>
    bank.ask('core', '/core/accounts/22289/postings', { method: 'POST', body });
  expect((await book({ reference: 'r1', amount: 1.5, text: 'x' })).status).toBe(400);
  expect((await book({ reference: 'r1', amount: -100, text: 'x', extra: 1 })).status).toBe(400);
  expect((await book({ reference: '../x', amount: -100, text: 'x' })).status).toBe(400);
  expect((await book('x'.repeat(20_000))).status).toBe(400);
  const first = await book({ reference: 'r1', amount: -100, text: 'x' });
  const again = await book({ reference: 'r1', amount: -100, text: 'x' });
  expect([first.status, again.status]).toEqual([201, 201]);
  expect(again.json.id).toBe(first.json.id);
  expect((await book({ reference: 'r1', amount: -200, text: 'x' })).status).toBe(409);
  expect((await bank.ask('core', '/core/accounts/99999')).status).toBe(404);
});
