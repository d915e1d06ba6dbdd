import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import { decodeJwt } from 'jose';
import { expect, test } from 'vitest';
import { type Bank, LEDGERLY, openBank, PAYMENTS, POINT_ID, type Presented } from './bank.ts';
import { openStream, openWebSocket } from './open-streams.ts';

// A running session that is good for less than its tokens say: what is out of them is held to it, at every point.

type Limits = { readonly scopes?: string[]; readonly readOnly?: boolean };

const LIST = { path: '/accounts-api/accounts' };
const PAY = { method: 'POST', path: '/accounts-api/payments', body: '{}' };
const DEBIT = { method: 'POST', path: '/accounts-api/accounts/1/debits', body: '{}' };
const READ = { path: '/accounts-api/accounts/1' };

async function open(options: Parameters<typeof openBank>[0] = {}) {
  const bank = await openBank(options);
  const as = await bank.partner('ledgerly');
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  const ask = async (what: object) => {
    const got = await bank.call({ as, token, ...what });
    const eventId = got.problem.eventId ?? String(got.headers['countersign-event-id']);
    const { decision } = await bank.record(eventId);
    return [got.status, decision?.reason, got.problem.type];
  };
  return { bank, as, token, ask };
}

function narrow(bank: Bank, { scopes, readOnly = false }: Limits, session = 'session-1'): void {
  const [atMs, untilMs] = [bank.now(), bank.now() + 600_000];
  const fact: Fact = {
    ...{ kind: 'narrowing', session, readOnly, reason: 'odd hour', atMs, untilMs },
    ...(scopes && { scopes }),
  };
  bank.change([fact]);
}

const NARROWED = [403, 'session-narrowed', 'urn:countersign:problem:narrowed'];
const PERMITTED = [200, 'policy-permits', undefined];

test('scopes that were taken are refused to tokens that are out, the others served; given back they are good again', async () => {
  const { bank, ask } = await open();
  expect([await ask(LIST), await ask(PAY)]).toEqual([PERMITTED, PERMITTED]);
  narrow(bank, { scopes: ['accounts'] });
  expect([await ask(LIST), await ask(PAY), await ask(READ)]).toEqual([
    PERMITTED,
    NARROWED,
    PERMITTED,
  ]);
  narrow(bank, { scopes: [] });
  expect([await ask(LIST), await ask(PAY), await ask(READ)]).toEqual([
    NARROWED,
    NARROWED,
    PERMITTED,
  ]);
  bank.change([], ['narrowing session-1']);
  expect([await ask(LIST), await ask(PAY)]).toEqual([PERMITTED, PERMITTED]);
});

test('what it lacks of the token itself stays that: a session has no scope that its token does not have', async () => {
  const { bank, as } = await open();
  narrow(bank, { scopes: ['accounts', 'payments'] });
  const token = bank.token({ scope: 'accounts', cnf: { 'x5t#S256': as.thumbprint } });
  const got = await bank.call({ as, token, ...PAY });
  expect([got.status, got.problem.type]).toEqual([403, 'urn:countersign:problem:scope']);
});

test('read-only refuses all that may change state, whatever scopes it needs, and nothing else', async () => {
  const { bank, as, token, ask } = await open();
  narrow(bank, { readOnly: true });
  expect([await ask(LIST), await ask(READ)]).toEqual([PERMITTED, PERMITTED]);
  expect([await ask(PAY), await ask(DEBIT)]).toEqual([NARROWED, NARROWED]);
  const socket = await bank.tls({ as });
  socket.write(
    `GET /accounts-api/socket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 403 /);
});

test('policies and the hops behind see the scopes that are left', async () => {
  const { bank, as, ask } = await open();
  await bank.publish({}, [
    {
      id: 'payers',
      text: '@id("payers") permit (principal is Partner, action, resource) when { context.scopes.contains("payments") };',
    },
  ]);
  expect(await ask(READ)).toEqual(PERMITTED);
  narrow(bank, { scopes: ['accounts'] });
  expect(await ask(READ)).toEqual([403, 'policy-none-permits', 'urn:countersign:problem:policy']);
  await bank.publish({}, [{ id: 'all', text: '@id("all") permit (principal, action, resource);' }]);
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  await bank.call({ as, token, ...LIST });
  expect(decodeJwt(String(bank.resource.seen.at(-1)?.headers['txn-token']))['scope']).toBe(
    'accounts',
  );
});

test('an inner hop holds the session of a transaction to it, whose token says more', async () => {
  const { bank } = await open();
  const point = await bank.svid(POINT_ID);
  const txn = () => bank.txnToken({ scope: 'accounts payments' });
  const ask = async (what: object) => {
    const headers = { 'Txn-Token': txn() };
    return (await bank.call({ as: point, listener: 'mesh', headers, ...what })).status;
  };
  expect([await ask(LIST), await ask(PAY)]).toEqual([200, 200]);
  narrow(bank, { scopes: ['accounts'] });
  expect([await ask(LIST), await ask(PAY)]).toEqual([200, 403]);
  narrow(bank, { readOnly: true });
  expect([await ask(LIST), await ask(DEBIT)]).toEqual([200, 403]);
});

test('another session is not touched, and a narrowing ends with its time', async () => {
  const { bank, as, ask } = await open();
  narrow(bank, { readOnly: true }, 'session-2');
  expect(await ask(DEBIT)).toEqual(PERMITTED);
  narrow(bank, { readOnly: true });
  expect(await ask(DEBIT)).toEqual(NARROWED);
  bank.later(600_001);
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  expect((await bank.call({ as, token, ...DEBIT })).status).toBe(200);
});

test('a stream that needs a scope that is taken is cut, on both sides; one that needs none goes on', async () => {
  const { bank, as, token } = await open();
  const lasting = await openStream(bank, as, token);
  const { socket, resource } = await openStream(bank, as, token, '', undefined, LIST.path);
  const closed = Promise.all([once(socket, 'close'), once(resource, 'close')]);
  narrow(bank, { scopes: ['payments'] });
  await closed;
  const closure = await bank.event((event) => event.kind === 'closure');
  expect(closure).toMatchObject({
    ...{ cause: 'revoked', session: 'session-1', subject: LEDGERLY },
    detail: "session-narrowed: the session is narrowed to 'payments', and this needs 'accounts'",
  });
  lasting.resource.write('data: 2\n\n');
  while (!lasting.all().includes('data: 2')) await once(lasting.socket, 'data');
});

test('a stream whose policy asks for a scope that is taken is decided again', async () => {
  const { bank, as, token } = await open();
  await bank.publish({}, [
    {
      id: 'payers',
      text: '@id("payers") permit (principal is Partner, action, resource) when { context.scopes.contains("payments") };',
    },
  ]);
  const { socket } = await openStream(bank, as, token);
  const closed = once(socket, 'close');
  narrow(bank, { scopes: ['accounts'] });
  await closed;
  const closure = await bank.event((event) => event.kind === 'closure');
  expect(closure).toMatchObject({ cause: 'policy-changed', detail: 'policy-none-permits' });
});

test('read-only cuts WebSockets, at an inner hop streams by the transaction’s session', async () => {
  const { bank, as, token } = await open();
  const { socket } = await openWebSocket(bank, as, token);
  const inner = await openStream(
    bank,
    await bank.svid(PAYMENTS),
    '',
    `Txn-Token: ${bank.txnToken()}\r\n`,
    'mesh',
    LIST.path,
  );
  const closed = once(socket, 'close');
  narrow(bank, { readOnly: true });
  await closed;
  const innerClosed = once(inner.socket, 'close');
  narrow(bank, { scopes: ['payments'] });
  await innerClosed;
});

test('what was permitted and waits for the disk is cut when its session was narrowed meanwhile', async () => {
  const { bank, as, token } = await open();
  await bank.call({ as, token });
  bank.resource.seen.length = 0;
  bank.disk.hold();
  const got = bank.call({ as, token, ...DEBIT });
  const isCut = expect(got).rejects.toMatchObject({ code: 'ECONNRESET' });
  await bank.disk.held();
  narrow(bank, { readOnly: true });
  bank.disk.open();
  await isCut;
  expect(bank.resource.seen).toHaveLength(0);
});

test('what was permitted and waits for the disk is cut when its token ended meanwhile', async () => {
  const { bank, as, token } = await open();
  await bank.call({ as, token });
  bank.resource.seen.length = 0;
  bank.disk.hold();
  const got = bank.call({ as, token, ...DEBIT });
  const isCut = expect(got).rejects.toMatchObject({ code: 'ECONNRESET' });
  await bank.disk.held();
  bank.later(Number(decodeJwt(token)['exp']) * 1000 + 5_000 - bank.now());
  bank.disk.open();
  await isCut;
  expect(bank.resource.seen).toHaveLength(0);
});

test('in shadow nothing is refused, and the record says what would have been', async () => {
  const { bank, as, token } = await open({ surface: { mode: 'shadow' } });
  narrow(bank, { readOnly: true });
  const got = await bank.call({ as, token, ...DEBIT });
  expect(got.status).toBe(200);
  const decision = await bank.event((event) => event.kind === 'decision');
  expect(decision).toMatchObject({ reason: 'session-narrowed' });
});

test('a workload that calls as itself has no session, and nothing is taken from it', async () => {
  const { bank } = await open();
  const as: Presented = await bank.svid(PAYMENTS);
  narrow(bank, { readOnly: true, scopes: [] });
  const got = await bank.call({ as, listener: 'mesh', ...READ });
  expect(got.status).toBe(200);
});
