import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningBank } from '@countersign/cli';
import {
  type AccessToken,
  type ApiAnswer,
  AUDIENCES,
  type Caller,
  JOURNAL_FILE,
  type JournalLine,
  openCaller,
} from '@countersign/example-bank';
import type { DecisionEvent, Event } from '@countersign/model';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Verdict, verifyLogs } from './support/command-line.ts';
import { makeFolder } from './support/data-folder.ts';
import { environmentOf, prepareBank, startBank, tokenOf } from './support/prepared-bank.ts';
import { logOf, readLog } from './support/read-log.ts';
import { until } from './support/until.ts';

const POINTS = ['edge', 'payments', 'accounts', 'core'] as const;
const PARTS = [
  'authority',
  ...POINTS,
  'node',
  'core-api',
  'accounts-api',
  'payments-api',
  'statements-api',
] as const;
const KILLS_EACH = Number(process.env['KILLS'] ?? 10);
/** Parts that die at the same moment. */
const AT_ONCE = 4;
const READ = '/accounts-api/accounts/22289';

/** One answer that a client has in hand. */
interface Answered {
  readonly status: number;
  readonly eventId: string | undefined;
  readonly what: 'read' | 'consent' | 'payment' | 'statement';
  /** Of a payment that was made. */
  readonly paymentId?: string;
  readonly pence?: number;
}

const folder = makeFolder('kill');
const data = folder.path;
let bank: RunningBank;
const answers: Answered[] = [];
let broken = 0;
const events = new Map<string, readonly Event[]>();
let journal: readonly JournalLine[] = [];
let verdicts: readonly Verdict[] = [];

beforeAll(async () => {
  await prepareBank(data, [
    { file: 'countersign.yaml', find: /svidTtl: 2m/, put: 'svidTtl: 1h' },
    // Payments that need no signature: after each start a signature must wait until it cannot be an older one.
    { file: 'surfaces/payments.yaml', find: /evidenceLevel: E2/, put: 'evidenceLevel: E1' },
    ...['payments', 'accounts', 'core'].map((surface) => ({
      file: `surfaces/${surface}.yaml`,
      find: /factsMaxAge: \d+s/,
      put: 'factsMaxAge: 1h',
    })),
  ]);
  bank = await startBank(data);
}, 240_000);

afterAll(async () => {
  await bank?.stop();
  await folder.remove();
}, 60_000);

test(`the bank serves again after each of its parts was killed ${KILLS_EACH} times under load`, async () => {
  const traffic = new AbortController();
  const flowing = Promise.all([
    payments(traffic.signal),
    reads(traffic.signal),
    reads(traffic.signal),
    statements(traffic.signal),
  ]);
  const probe = openCaller(environmentOf(bank), 'ledgerly');
  const startedMs = Date.now();
  const plan = shuffled(PARTS.flatMap((part) => Array.from({ length: KILLS_EACH }, () => part)));
  let killed = 0;
  try {
    while (plan.length > 0) {
      const names = takeDistinct(plan, AT_ONCE);
      await sleep(150 + Math.random() * 350);
      await Promise.all(
        names.map(async (name) => {
          const child = bank.children.get(name);
          child?.kill();
          await child?.exited;
          killed++;
          await bank.restart(name);
        }),
      );
      const token = await until(() => freshToken(probe).catch(() => undefined), 60_000);
      await until(async () => (await statusOf(probe, token)) === 200, 60_000);
    }
  } finally {
    traffic.abort();
    await flowing;
    await probe.close();
  }
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
  const made = answers.filter(({ what, status }) => what === 'payment' && status === 201).length;
  console.log(
    `${killed} kills in ${seconds} s; ${answers.length} answers, ${made} payments made, ${broken} exchanges broke off`,
  );
  expect(killed).toBe(PARTS.length * KILLS_EACH);
  expect(made).toBeGreaterThan(20);
}, 540_000);

test('all logs and their collected copies prove good, and each copy is a prefix of its log', async () => {
  // What was written last is collected before the parts end.
  await until(async () => {
    const { points } = await bank.admin.call<{ points: { name: string; logSize: number }[] }>(
      'GET',
      '/v1/status',
    );
    const own = await Promise.all(
      points.map(async ({ name }) => (await readLog(logOf(data, name))).length),
    );
    return points.every(({ logSize }, index) => logSize >= (own[index] ?? 0));
  }, 60_000);
  await bank.stop();
  expect(folder.processes()).toEqual([]);
  const { code, logs } = await verifyLogs(data);
  verdicts = logs;
  expect(logs.filter(({ ok }) => !ok)).toEqual([]);
  expect(code).toBe(0);
  for (const name of POINTS) {
    const own = await readLog(logOf(data, name));
    const copy = await readLog(join(data, 'authority', 'logs', name));
    events.set(name, own);
    expect(copy.length).toBeGreaterThan(0);
    expect(copy.length).toBeLessThanOrEqual(own.length);
    expect(JSON.stringify(copy)).toBe(JSON.stringify(own.slice(0, copy.length)));
  }
  journal = readFileSync(join(data, 'services', 'core', JOURNAL_FILE), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  console.log(
    verdicts
      .map(({ name, size, unfinished }) => `${name} ${size} (${unfinished} unfinished)`)
      .join(', '),
  );
}, 120_000);

test('no acknowledged event is lost: every answer that a client has stands in the edge’s log', () => {
  const edge = byId(events.get('edge') ?? []);
  const lost: unknown[] = [];
  for (const answer of answers) {
    // In shadow an answer carries nothing of ours.
    if (answer.what === 'statement') continue;
    const recorded = edge.get(answer.eventId ?? '') ?? [];
    const decision = recorded.find(({ kind }) => kind === 'decision');
    const outcome = recorded.find((event) => event.kind === 'outcome');
    const isUnrecordable = answer.status === 503 && recorded.length === 0;
    if (!isUnrecordable && decision && outcome?.status === answer.status) continue;
    lost.push({ answer, recorded });
  }
  expect(lost).toEqual([]);
});

test('every payment that a client was told of is booked, once, for its amount', () => {
  const made = answers.filter(({ what, status }) => what === 'payment' && status === 201);
  for (const { paymentId, pence } of made) {
    const lines = journal.filter(({ reference }) => reference === paymentId);
    expect(lines.map(({ amount }) => amount)).toEqual([-(pence as number)]);
  }
});

test('nothing was booked without a permit on disk, in the core’s own log and at every hop before it', () => {
  const permits = new Map(POINTS.map((name) => [name, permitsOf(events.get(name) ?? [])]));
  const hops = [
    ['edge', 'CreateDomesticPayment'],
    ['payments', 'CreateDomesticPayment'],
    ['accounts', 'DebitAccount'],
    ['core', 'CreatePosting'],
  ] as const;
  expect(journal.length).toBeGreaterThan(20);
  const unexplained = journal.flatMap((line) =>
    hops
      .filter(([name, action]) => !permits.get(name)?.has(`${line.transaction} ${action}`))
      .map(([name, action]) => ({ line, missing: `${name} ${action}` })),
  );
  expect(unexplained).toEqual([]);
});

/** Pays small amounts, none of them twice, with a key that makes asking again safe. */
async function payments(signal: AbortSignal): Promise<void> {
  let next = 0;
  await repeat(signal, 'payments', async (caller, token) => {
    next += 1;
    const pence = 100 + (next % 900);
    const initiation = {
      InstructionIdentification: `KILL-${next}`,
      DebtorAccount: { AccountId: '22289' },
      CreditorAccount: { Identification: 'XB88CSGN00471230824693', Name: `Grocer ${next}` },
      InstructedAmount: {
        Amount: `${Math.floor(pence / 100)}.${String(pence % 100).padStart(2, '0')}`,
        Currency: 'GBP',
      },
    };
    const post = (path: string, body: unknown) =>
      caller.call({
        method: 'POST',
        path: `/payments-api/${path}`,
        token,
        headers: { 'x-idempotency-key': randomUUID() },
        body,
      });
    const consent = await post('domestic-payment-consents', { Data: { Initiation: initiation } });
    note('consent', consent);
    const { ConsentId } = dataOf(consent);
    if (!ConsentId) return consent.status;
    const payment = await post('domestic-payments', {
      Data: { ConsentId, Initiation: initiation },
    });
    const { DomesticPaymentId: paymentId } = dataOf(payment);
    note('payment', payment, { pence, ...(paymentId && { paymentId }) });
    return payment.status;
  });
}

function reads(signal: AbortSignal): Promise<void> {
  return repeat(signal, 'accounts', async (caller, token) => {
    const answer = await caller.call({ path: READ, token });
    note('read', answer);
    return answer.status;
  });
}

function statements(signal: AbortSignal): Promise<void> {
  const path = '/statements-api/accounts/22289/statements';
  return repeat(signal, 'statements', async (caller, token) => {
    const origin = environmentOf(bank).statementsOrigin;
    const answer = await caller.call({ origin, path, token });
    note('statement', answer);
    return answer.status;
  });
}

/** Does one thing after the other until the signal; what breaks off is counted, and asked anew. */
async function repeat(
  signal: AbortSignal,
  scope: keyof typeof AUDIENCES,
  once: (caller: Caller, token: AccessToken) => Promise<number>,
): Promise<void> {
  const caller = openCaller(environmentOf(bank), 'ledgerly');
  let token: AccessToken | undefined;
  while (!signal.aborted) {
    try {
      token ??= await tokenOf(caller, { scope, resource: AUDIENCES[scope] });
      if ((await once(caller, token)) === 401) token = undefined;
    } catch {
      broken++;
    }
    await sleep(60);
  }
  await caller.close();
}

function note(
  what: Answered['what'],
  { status, eventId }: ApiAnswer,
  more: Pick<Answered, 'paymentId' | 'pence'> = {},
): void {
  answers.push({ what, status, eventId, ...more });
}

function dataOf({ json }: ApiAnswer): { ConsentId?: string; DomesticPaymentId?: string } {
  return (json as { Data?: object } | undefined)?.Data ?? {};
}

function freshToken(caller: Caller): Promise<AccessToken> {
  return tokenOf(caller, { scope: 'accounts', resource: AUDIENCES.accounts });
}

async function statusOf(caller: Caller, token: AccessToken): Promise<number> {
  try {
    const answer = await caller.call({ path: READ, token });
    note('read', answer);
    return answer.status;
  } catch {
    return 0;
  }
}

function byId(all: readonly Event[]): ReadonlyMap<string, readonly Event[]> {
  const found = new Map<string, Event[]>();
  for (const event of all) {
    const known = found.get(event.id);
    if (known) known.push(event);
    else found.set(event.id, [event]);
  }
  return found;
}

/** `txn action` of all that a point permitted and acted upon. */
function permitsOf(all: readonly Event[]): ReadonlySet<string> {
  return new Set(
    all
      .filter((event): event is DecisionEvent => event.kind === 'decision')
      .filter(({ effect, enforced }) => effect === 'permit' && enforced)
      .map(({ txn, action }) => `${txn} ${action}`),
  );
}

/** Takes the first few that differ out of the list. */
function takeDistinct<T>(list: T[], count: number): T[] {
  const taken: T[] = [];
  for (let at = 0; at < list.length && taken.length < count; ) {
    const value = list[at] as T;
    if (taken.includes(value)) at++;
    else taken.push(...list.splice(at, 1));
  }
  return taken;
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}
