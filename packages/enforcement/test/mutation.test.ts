import type { Answer, Exchange } from '@countersign/enforcement';
import type { Log } from '@countersign/ledger';
import { expect, test } from 'vitest';
import { openBank } from './bank.ts';

// What the other tests show is only worth something if it fails when the protection is away. Here
// one part is replaced by a broken stand-in, and the attack succeeds.

/** A log whose word is not good. */
function liar(log: Log): Log {
  return {
    origin: log.origin,
    droppedBytes: 0,
    queuedBytes: 0,
    get nextIndex() {
      return log.nextIndex;
    },
    get size() {
      return log.size;
    },
    append: (entry) => log.append(entry),
    durable: async () => {},
    appendedRoot: () => log.appendedRoot(),
    checkpoint: () => log.checkpoint(),
    read: (index, bounds) => log.read(index, bounds),
    onCommit: (listener) => log.onCommit(listener),
    close: () => log.close(),
  };
}

const debit = { method: 'POST', path: '/accounts-api/accounts/1/debits', body: '{}' };

test('with a log that only says it is durable, a write runs ahead of its record', async () => {
  const bank = await openBank({
    rebuild: (options) => ({
      ...options,
      log: liar(options.log),
    }),
  });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  bank.disk.hold();
  expect((await bank.call({ as, token, ...debit })).status).toBe(200);
  expect(bank.resource.seen).toHaveLength(1);
  expect(bank.log.size).toBe(0);
  bank.disk.open();
});

test('with facts that know no revocation, a revoked session goes on; with none that know a narrowing, a narrowed one does what it likes', async () => {
  const bank = await openBank({
    rebuild: (options) => {
      const facts = Object.create(options.replica.point.facts, {
        revocation: { value: () => undefined },
        narrowing: { value: () => undefined },
      });
      const point = Object.create(options.replica.point, { facts: { get: () => facts } });
      return { ...options, replica: { ...options.replica, point } };
    },
  });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const atMs = bank.now();
  const untilMs = atMs + 60_000;
  bank.change([
    { kind: 'revocation', target: 'session', value: 'session-1', reason: 'x', atMs, untilMs },
    { kind: 'narrowing', session: 'session-1', readOnly: true, reason: 'x', atMs, untilMs },
  ]);
  expect((await bank.call({ as, token })).status).toBe(200);
  const debit = { method: 'POST', path: '/accounts-api/accounts/1/debits', body: '{}' };
  expect((await bank.call({ as, token, ...debit })).status).toBe(200);
});

test('with a clock that stands still, facts never grow old and tokens never end', async () => {
  const startedMs = Date.now();
  const bank = await openBank({ rebuild: (options) => ({ ...options, now: () => startedMs }) });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint }, exp: startedMs / 1000 + 1 });
  bank.skewMs = 3_600_000;
  expect((await bank.call({ as, token })).status).toBe(200);
});

test('with a decision point that permits everything, what no policy permits is served', async () => {
  const bank = await openBank({
    rebuild: (options) => {
      const { point } = options.replica;
      const open = Object.create(point, {
        decide: {
          value: (request: Parameters<typeof point.decide>[0]) => ({
            ...point.decide(request),
            effect: 'permit',
            reason: 'policy-permits',
          }),
        },
      });
      return { ...options, replica: { ...options.replica, point: open } };
    },
  });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  expect((await bank.call({ as, token, path: '/accounts-api/secrets/1' })).status).toBe(200);
});

test('a permit with an obligation that this point cannot keep is refused', async () => {
  const bank = await openBank({
    rebuild: (options) => {
      const { point } = options.replica;
      const conditional = Object.create(point, {
        decide: {
          value: (request: Parameters<typeof point.decide>[0]) => ({
            ...point.decide(request),
            obligations: [{ kind: 'mask', fields: ['iban'] }],
          }),
        },
      });
      return { ...options, replica: { ...options.replica, point: conditional } };
    },
  });
  const as = await bank.partner('ledgerly');
  const got = await bank.call({ as, token: bank.token({ cnf: { 'x5t#S256': as.thumbprint } }) });
  const { decision } = await bank.record(got.problem.eventId);
  expect([got.status, decision?.effect, decision?.reason]).toEqual([403, 'deny', 'policy-error']);
});

test('with word of changes kept from the point, a revoked stream stays open', async () => {
  const bank = await openBank({
    rebuild: (options) => ({
      ...options,
      replica: { ...options.replica, onChange: () => () => {} },
    }),
  });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const opened = Promise.withResolvers<void>();
  bank.resource.handler = (_request, response) => {
    response.write('data: 1\n\n');
    bank.resource.handler = () => {};
    opened.promise.then(() => response.end('data: 2\n\n'));
  };
  const got = bank.call({ as, token, path: '/accounts-api/events' });
  await bank.event((event) => event.kind === 'outcome');
  const atMs = bank.now();
  const untilMs = atMs + 60_000;
  bank.change([
    { kind: 'revocation', target: 'session', value: 'session-1', reason: 'x', atMs, untilMs },
  ]);
  opened.resolve();
  expect((await got).body).toBe('data: 1\n\ndata: 2\n\n');
});

test('with a carrier that takes anybody for the holder of the key, a stolen token is served', async () => {
  const bank = await openBank();
  const ledgerly = await bank.partner('ledgerly');
  const thief = await bank.partner('thief');
  const token = bank.token({ cnf: { 'x5t#S256': ledgerly.thumbprint } });
  const forwarded: string[] = [];
  const answers: Answer[] = [];
  const exchange = (thumbprint: string): Exchange => ({
    head: {
      method: 'GET',
      target: '/accounts-api/accounts/1',
      rawHeaders: ['Host', 'a', 'Authorization', `Bearer ${token}`],
    },
    connection: {
      listener: 'partners',
      isSecure: true,
      ip: '127.0.0.1',
      peer: {
        kind: 'partner',
        thumbprint,
        names: [thumbprint],
        notAfterMs: Number.MAX_SAFE_INTEGER,
      },
      isOwnAuthority: () => true,
    },
    isUpgrade: false,
    isGone: false,
    answer: (answer) => void answers.push(answer),
    forward: (plan) => void forwarded.push(...plan.headers, ...(plan.ownHeaders ?? [])),
    cut: () => {},
  });
  await bank.point.handle(exchange(thief.thumbprint));
  expect([answers[0]?.status, forwarded]).toEqual([401, []]);
  await bank.point.handle(exchange(ledgerly.thumbprint));
  expect(forwarded).toContain('Txn-Token');
});

test('with a surface that does not name its identity header, a forged one reaches the resource', async () => {
  const forged = { 'X-Customer-Id': 'chief' };
  for (const [identityHeaders, seen] of [
    [['X-Customer-Id'], undefined],
    [[], 'chief'],
  ] as const) {
    const bank = await openBank({ surface: { identityHeaders } });
    const as = await bank.partner('ledgerly');
    const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
    await bank.call({ as, token, headers: forged });
    expect(bank.resource.seen[0]?.headers['x-customer-id']).toBe(seen);
  }
});
