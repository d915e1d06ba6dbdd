import { once } from 'node:events';
import { expect, test } from 'vitest';
import { openBank } from './bank.ts';

async function open() {
  const bank = await openBank();
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  await bank.call({ as, token }); // the token is verified, the connection to the resource stands
  bank.resource.seen.length = 0;
  return { bank, as, token };
}
const debit = { method: 'POST', path: '/accounts-api/accounts/1/debits', body: '{}' };

/** Whether a promise is still open after the event loop has turned some times. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  promise.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  return !isSettled;
}

test('a state-changing request reaches the resource only when its decision is on disk', async () => {
  const { bank, as, token } = await open();
  bank.disk.hold();
  const got = bank.call({ as, token, ...debit });
  await bank.disk.held();
  expect(await isOpen(got)).toBe(true);
  expect(bank.resource.seen).toHaveLength(0);
  bank.disk.open();
  expect((await got).status).toBe(200);
  expect(bank.resource.seen).toHaveLength(1);
});

test('no answer leaves before its outcome is on disk', async () => {
  const { bank, as, token } = await open();
  const size = bank.log.size;
  const answered = Promise.withResolvers<void>();
  bank.resource.handler = (_request, response) => {
    response.end('balance');
    // From here on: the decision may be on disk, the outcome not.
    bank.disk.hold();
    answered.resolve();
  };
  const got = bank.call({ as, token });
  await answered.promise;
  await bank.disk.held();
  expect(await isOpen(got)).toBe(true);
  bank.disk.open();
  expect((await got).body).toBe('balance');
  expect(bank.log.size).toBe(size + 2);
});

test('no refusal leaves before it is on disk', async () => {
  const { bank } = await open();
  bank.disk.hold();
  const got = bank.call({});
  await bank.disk.held();
  expect(await isOpen(got)).toBe(true);
  bank.disk.open();
  expect((await got).status).toBe(401);
});

test('with the log broken nothing is served: not a write, not a read, and no answer half way', async () => {
  const { bank, as, token } = await open();
  let calls = 0;
  bank.resource.handler = (_request, response) => {
    calls++;
    bank.disk.fail(); // it breaks while the resource works
    response.end('balance');
  };
  const half = await bank.call({ as, token });
  expect([half.status, half.body.includes('balance'), calls]).toEqual([503, false, 1]);
  expect(half.headers['retry-after']).toBe('2');
  for (const request of [debit, {}, { token: undefined }]) {
    const got = await bank.call({ as, token, ...request });
    expect([got.status, got.problem.title]).toEqual([503, 'Temporarily unavailable']);
  }
  expect(calls).toBe(1);
  expect(bank.alarms[0]).toMatchObject({ alarm: 'log-unavailable' });
  expect(bank.point.stats().alarms['log-unavailable']).toBeGreaterThanOrEqual(4);
});

test('a write whose decision cannot be kept is not sent on, even when the disk fails late', async () => {
  const { bank, as, token } = await open();
  bank.disk.hold();
  const got = bank.call({ as, token, ...debit });
  await bank.disk.held();
  bank.disk.fail();
  expect((await got).status).toBe(503);
  expect(bank.resource.seen).toHaveLength(0);
});

test('a caller that leaves while its decision goes to disk is not acted for', async () => {
  const { bank, as, token } = await open();
  const socket = await bank.tls({ as });
  bank.disk.hold();
  socket.write(
    `POST ${debit.path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`,
  );
  await bank.disk.held();
  socket.destroy();
  await once(socket, 'close');
  while (bank.point.channels.counts().connection > 0) await new Promise(setImmediate);
  bank.disk.open();
  const outcome = await bank.event(
    (event) => event.kind === 'outcome' && event.failure === 'client-abort',
  );
  expect(outcome).toMatchObject({ status: 0, forwarded: false });
  expect(bank.resource.seen).toHaveLength(0);
});

test('a session that is revoked while a decision goes to disk does not get through', async () => {
  const { bank, as, token } = await open();
  bank.disk.hold();
  const got = bank.call({ as, token, ...debit });
  await bank.disk.held();
  const atMs = bank.now();
  const value = 'session-1';
  const untilMs = atMs + 60_000;
  bank.change([{ kind: 'revocation', target: 'session', value, reason: 'x', atMs, untilMs }]);
  bank.disk.open();
  await expect(got).rejects.toMatchObject({ code: 'ECONNRESET' });
  const outcome = await bank.event(
    (event) => event.kind === 'outcome' && event.failure === 'revoked',
  );
  expect(outcome).toMatchObject({ status: 0, forwarded: false });
  expect(bank.resource.seen).toHaveLength(0);
});

test('facts that are too old refuse everything, and facts that are renewed serve again', async () => {
  const { bank, as, token } = await open();
  bank.change([]);
  bank.skewMs = 59_000;
  expect((await bank.call({ as, token })).status).toBe(200);
  bank.skewMs = 61_000;
  const stale = await bank.call({ as, token });
  const { decision } = await bank.record(stale.problem.eventId);
  expect([stale.status, decision?.reason]).toEqual([503, 'facts-stale']);
  expect(decision?.factsAgeMs).toBeGreaterThan(60_000);
  expect(stale.headers['retry-after']).toBe('2');
  // Nor does it tell a stranger anything else.
  expect((await bank.call({})).status).toBe(503);
  expect(bank.alarms.map(({ alarm }) => alarm)).toEqual(['facts-stale']);
  bank.change([]);
  expect((await bank.call({ as, token })).status).toBe(200);
});

test('without a policy everything is refused', async () => {
  const bank = await openBank();
  const as = await bank.partner('ledgerly');
  bank.decision.release();
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const got = await bank.call({ as, token });
  const { decision } = await bank.record(got.problem.eventId);
  expect([got.status, decision?.reason, decision?.policyVersion]).toEqual([
    503,
    'policy-missing',
    '',
  ]);
});

test('evidence below what the surface asks for is refused', async () => {
  const bank = await openBank({ surface: { evidenceLevel: 'E2' } });
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const got = await bank.call({ as, token });
  const { decision } = await bank.record(got.problem.eventId);
  expect([got.status, decision?.reason]).toEqual([403, 'evidence-insufficient']);
});

test('every event stands at its own index of its own log', async () => {
  const { bank, as, token } = await open();
  await Promise.all(Array.from({ length: 20 }, () => bank.call({ as, token })));
  const events = await bank.events();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index));
  expect(new Set(events.map(({ origin }) => origin))).toEqual(new Set([bank.log.origin]));
  for (const event of events) {
    if (event.kind !== 'outcome') continue;
    const decision = events.find(({ kind, id }) => kind === 'decision' && id === event.id);
    expect(decision?.seq).toBeLessThan(event.seq);
  }
});
