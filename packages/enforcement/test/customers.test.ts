import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import { beforeAll, expect, test } from 'vitest';
import { type Bank, LEDGERLY, openBank, PAYMENTS, POINT_ID, type Presented } from './bank.ts';

// A customer is in no fact: the issuer vouches for it in its token, and the point where it comes in, inside.

const RUNNER = 'spiffe://bank.example/agent/runner';
const DORA = 'spiffe://bank.example/customer/7f3a91';
const policies = [
  { id: 'customers', text: '@id("customers") permit (principal is Customer, action, resource);' },
  { id: 'humans', text: '@id("humans") permit (principal is Human, action, resource);' },
];
const vouched = { attributes: {}, parents: [] };

let bank: Bank;
let app: Presented;
let point: Presented;
beforeAll(async () => {
  bank = await openBank();
  await bank.publish({}, policies);
  app = await bank.partner('app');
  point = await bank.svid(POINT_ID);
});

const token = (claims: Record<string, unknown> = {}) =>
  bank.token({
    ...{ sub: DORA, sid: 'session-of-dora', subject_entity: vouched },
    ...{ cnf: { 'x5t#S256': app.thumbprint }, ...claims },
  });
const ask = (claims?: Record<string, unknown>) => bank.call({ as: app, token: token(claims) });
const reasonOf = async (got: Awaited<ReturnType<Bank['call']>>) =>
  (await bank.record(got.problem.eventId)).decision?.reason;

test('a customer is served by what its token says of it, and the record keeps what that was', async () => {
  const got = await ask();
  expect(got.status).toBe(200);
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({
    subject: DORA,
    policies: ['customers'],
    subjectEntity: vouched,
  });
});

test('who a token vouches for is passed on inside in the transaction token, and believed of the point there', async () => {
  const txn = bank.txnToken({ sub: DORA, subject_entity: vouched });
  const got = await bank.call({ as: point, listener: 'mesh', headers: { 'Txn-Token': txn } });
  expect(got.status).toBe(200);
  const without = await bank.call({
    as: point,
    listener: 'mesh',
    headers: { 'Txn-Token': bank.txnToken({ sub: DORA }) },
  });
  expect([without.status, await reasonOf(without)]).toEqual([401, 'token-subject']);
});

test.each<[string, Record<string, unknown>, string]>([
  ['a customer without it', { subject_entity: undefined }, 'token-subject'],
  ['no object', { subject_entity: 'all' }, 'token-subject'],
  ['without parents', { subject_entity: { attributes: {} } }, 'token-subject'],
  [
    'with a parent that is none',
    { subject_entity: { attributes: {}, parents: ['x'] } },
    'token-subject',
  ],
  [
    'with more parents than one can have',
    { subject_entity: { attributes: {}, parents: Array(101).fill({ type: 'Group', id: 'x' }) } },
    'token-subject',
  ],
  // Else whoever makes an issuer sign a claim would register people.
  [
    'an employee of whom no fact tells',
    { sub: 'spiffe://bank.example/human/mallory' },
    'token-subject',
  ],
  [
    'an agent of whom no fact tells',
    { sub: 'spiffe://bank.example/agent/mallory' },
    'token-subject',
  ],
  [
    'with an actor that nobody knows',
    { act: { sub: 'spiffe://bank.example/partner/nobody' } },
    'token-subject',
  ],
  [
    'with attributes that no schema has',
    { subject_entity: { attributes: { vip: true }, parents: [] } },
    'policy-error',
  ],
])('refused: %s', async (_what, claims, reason) => {
  const got = await ask(claims);
  expect([got.status, await reasonOf(got)]).toEqual([
    reason === 'policy-error' ? 403 : 401,
    reason,
  ]);
});

test('a revocation ends a customer at once, in flight too; a fact about one outweighs its token', async () => {
  const revocation: Fact = {
    ...{ kind: 'revocation', target: 'subject', value: DORA, reason: 'closed' },
    ...{ atMs: bank.now(), untilMs: bank.now() + 60_000 },
  };
  bank.change([revocation]);
  const got = await ask();
  expect([got.status, await reasonOf(got)]).toEqual([401, 'subject-disabled']);
  bank.change([], [`revocation subject ${DORA}`]);
  expect((await ask()).status).toBe(200);
  bank.change([
    {
      ...{ kind: 'subject', id: DORA, enabled: false, owner: 'retail@bank.example' },
      ...{ attributes: {}, parents: [], certificates: [] },
    },
  ]);
  const disabled = await ask();
  expect([disabled.status, await reasonOf(disabled)]).toEqual([401, 'subject-disabled']);
  bank.change([], [`subject ${DORA}`]);
});

test('a partner that acts for a customer ends it when it is cut off itself', async () => {
  const acted = () => ask({ act: { sub: LEDGERLY } });
  const first = await acted();
  const { status, headers } = first;
  expect([status, first.body]).toEqual([200, expect.anything()]);
  const { decision } = await bank.record(headers['countersign-event-id'] as string);
  expect(decision?.actors).toEqual([LEDGERLY]);
  bank.change([
    {
      ...{ kind: 'revocation', target: 'subject', value: LEDGERLY, reason: 'cut' },
      ...{ atMs: bank.now(), untilMs: bank.now() + 60_000 },
    },
  ]);
  const cut = await acted();
  expect([cut.status, await reasonOf(cut)]).toEqual([401, 'subject-disabled']);
  bank.change([], [`revocation subject ${LEDGERLY}`]);
});

test('an agent that a partner’s token was handed to is decided by both, and ends with the partner', async () => {
  await bank.publish({}, [
    ...policies.slice(1),
    {
      id: 'customers-by-ledgerly',
      text: `@id("customers-by-ledgerly") permit (principal is Customer, action, resource)
        when { context has actingPartners && context.actingPartners == [Partner::"${LEDGERLY}"] };`,
    },
  ]);
  const runner = await bank.svid(RUNNER);
  bank.change([
    {
      ...{ kind: 'subject', id: RUNNER, enabled: true, owner: 'agents@bank.example' },
      ...{ attributes: {}, parents: [], certificates: [] },
    },
  ]);
  const chain = (act: object) =>
    bank.token({
      ...{ sub: DORA, sid: 'session-of-dora', subject_entity: vouched, act },
      cnf: { 'x5t#S256': runner.thumbprint },
    });
  const acted = chain({ sub: RUNNER, act: { sub: LEDGERLY } });
  const first = await bank.call({ as: runner, token: acted });
  expect(first.status).toBe(200);
  const { decision } = await bank.record(first.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({ subject: DORA, actors: [RUNNER, LEDGERLY] });
  expect(decision?.context).toMatchObject({
    actors: [RUNNER, LEDGERLY].map((id) => ({ __entity: { type: 'Agent', id } })),
    actingPartners: [{ __entity: { type: 'Partner', id: LEDGERLY } }],
  });
  const alone = await bank.call({ as: runner, token: chain({ sub: RUNNER }) });
  expect(alone.status).toBe(403);
  const { handler } = bank.resource;
  bank.resource.handler = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const socket = await bank.tls({ as: runner });
  socket.write(
    `GET /accounts-api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${acted}\r\n\r\n`,
  );
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString();
  });
  while (!all.includes('data: 1')) await once(socket, 'data');
  const cut: Fact = {
    ...{ kind: 'revocation', target: 'subject', value: LEDGERLY, reason: 'cut' },
    ...{ atMs: bank.now(), untilMs: bank.now() + 60_000 },
  };
  bank.change([cut]);
  await once(socket, 'close');
  const got = await bank.call({ as: runner, token: acted });
  expect([got.status, await reasonOf(got)]).toEqual([401, 'subject-disabled']);
  bank.change([], [`revocation subject ${LEDGERLY}`]);
  bank.resource.handler = handler;
  await bank.publish({}, policies);
});

test('a token as long as the issuer makes them goes through the edge, and what the edge makes of it through the points inside', async () => {
  const long = (note: number) =>
    bank.token({
      ...{ sub: DORA, sid: 's', subject_entity: vouched, act: { sub: LEDGERLY } },
      ...{ cnf: { 'x5t#S256': app.thumbprint } },
      authorization_details: [{ type: 'purpose', code: 'x'.repeat(note) }],
    });
  // 7168 of the issuer: three bytes are four characters.
  const token = long(Math.floor(((7168 - long(0).length) * 3) / 4));
  expect(token.length).toBeGreaterThan(7160);
  const { handler } = bank.resource;
  let passedOn = '';
  bank.resource.handler = (request, response) => {
    passedOn = String(request.headers['txn-token']);
    response.end();
  };
  const id = 'i'.repeat(400);
  const got = await bank.call({ as: app, token, path: `/accounts-api/accounts/${id}` });
  expect(got.status).toBe(200);
  console.log(
    `an access token of ${token.length} characters, a transaction token of ${passedOn.length}`,
  );
  expect(passedOn.length).toBeLessThanOrEqual(8192);
  const inside = await bank.call({
    ...{ as: point, listener: 'mesh', path: `/accounts-api/accounts/${id}` },
    headers: { 'Txn-Token': passedOn },
  });
  expect(inside.status).toBe(200);
  bank.resource.handler = handler;
});

test('a workload cannot speak for a customer by itself', async () => {
  const payments = await bank.svid(PAYMENTS);
  const forged = bank.txnToken({ sub: DORA, subject_entity: vouched, req_wl: PAYMENTS });
  const got = await bank.call({ as: payments, listener: 'mesh', headers: { 'Txn-Token': forged } });
  expect([got.status, await reasonOf(got)]).toEqual([401, 'transaction-token-invalid']);
});
