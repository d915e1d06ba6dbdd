import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Bank, openBank, type Presented } from './bank.ts';

// Tokens of an exchange (RFC 8693): in the name of a person, bound to the key of whoever acts for them.
const ALICE = 'spiffe://bank.example/human/alice';
const PLANNER = 'spiffe://bank.example/agent/planner';
const RUNNER = 'spiffe://bank.example/workload/runner';

const POLICIES = [
  {
    id: 'people-read',
    text: '@id("people-read") permit (principal is Human in Group::"clerks", action in Accounts::Action::"read", resource);',
  },
  {
    id: 'agents-of-the-desk',
    text: `@id("agents-of-the-desk") forbid (principal, action, resource)
      unless { context.actors.isEmpty() || context.actors.contains(Agent::"${PLANNER}") };`,
  },
  {
    id: 'no-workload-but-the-runner',
    text: `@id("no-workload-but-the-runner") forbid (principal, action, resource)
      when { context has actingWorkloads } unless { context.actingWorkloads == [Workload::"${RUNNER}"] };`,
  },
];

const subject = (id: string, more: object = {}): Fact =>
  ({
    ...{ kind: 'subject', id, enabled: true, owner: 'desk@bank.example' },
    ...{ attributes: {}, parents: [], certificates: [], ...more },
  }) as Fact;
const clerk = { parents: [{ type: 'Group', id: 'clerks' }] };

let bank: Bank;
let planner: Presented;
let runner: Presented;
beforeEach(async () => {
  bank = await openBank();
  await bank.publish({}, POLICIES);
  bank.change([subject(ALICE, clerk), subject(PLANNER), subject(RUNNER)]);
  [planner, runner] = await Promise.all([bank.svid(PLANNER), bank.svid(RUNNER)]);
});

const boundTo = (as: Presented) => ({ cnf: { 'x5t#S256': as.thumbprint } });
const byPlanner = { sub: PLANNER };
const byRunner = { sub: RUNNER, act: byPlanner };
const decisionOf = async (got: Awaited<ReturnType<Bank['call']>>) =>
  (await bank.record(got.problem.eventId ?? String(got.headers['countersign-event-id']))).decision;

describe('a token in somebody’s name, bound to the SVID of who acts', () => {
  test('is accepted, and the policy sees both; the record has the chain', async () => {
    const token = bank.token({ sub: ALICE, act: byRunner, ...boundTo(runner) });
    const got = await bank.call({ as: runner, token });
    expect(got.status).toBe(200);
    const decision = await decisionOf(got);
    expect(decision).toMatchObject({ subject: ALICE, actors: [RUNNER, PLANNER] });
    expect(decision?.context).toMatchObject({
      actors: [
        { __entity: { type: 'Agent', id: RUNNER } },
        { __entity: { type: 'Agent', id: PLANNER } },
      ],
      actingWorkloads: [{ __entity: { type: 'Workload', id: RUNNER } }],
    });
  });

  test('is decided by both: what the person may not, nobody may for them, and not every actor may', async () => {
    bank.change([subject(ALICE)]);
    const token = () => bank.token({ sub: ALICE, act: byPlanner, ...boundTo(planner) });
    expect((await bank.call({ as: planner, token: token() })).status).toBe(403);
    bank.change([subject(ALICE, clerk)]);
    expect((await bank.call({ as: planner, token: token() })).status).toBe(200);
    const alone = bank.token({ sub: ALICE, act: { sub: RUNNER }, ...boundTo(runner) });
    const refused = await bank.call({ as: runner, token: alone });
    expect([refused.status, (await decisionOf(refused))?.policies]).toEqual([
      403,
      ['agents-of-the-desk'],
    ]);
  });

  test.each([
    ['of the person', () => bank.svid(ALICE)],
    ['of the actor before', () => Promise.resolve(planner)],
    ['of a stranger', () => bank.svid('spiffe://bank.example/workload/payments/api')],
  ])('is refused with the SVID %s, were it bound to that', async (_whose, svid) => {
    const as = await svid();
    const token = bank.token({ sub: ALICE, act: byRunner, ...boundTo(as) });
    const got = await bank.call({ as, token });
    expect([got.status, (await decisionOf(got))?.reason]).toEqual([401, 'token-subject']);
  });

  test('is accepted with a certificate that is registered for who acts, and with nobody else’s', async () => {
    const as = await bank.partner('planner');
    const token = () => bank.token({ sub: ALICE, act: byPlanner, ...boundTo(as) });
    bank.change([subject(PLANNER, { certificates: [as.thumbprint] })]);
    expect((await bank.call({ as, token: token() })).status).toBe(200);
    bank.change([subject(PLANNER), subject(ALICE, { ...clerk, certificates: [as.thumbprint] })]);
    const got = await bank.call({ as, token: token() });
    expect([got.status, (await decisionOf(got))?.reason]).toEqual([401, 'token-subject']);
  });

  test('is refused over the connection of the actor before', async () => {
    const token = bank.token({ sub: ALICE, act: byRunner, ...boundTo(runner) });
    const got = await bank.call({ as: planner, token });
    expect([got.status, (await decisionOf(got))?.reason]).toEqual([401, 'token-binding']);
  });
});

test.each([
  ['the middle actor', PLANNER],
  ['the last actor', RUNNER],
  ['the person', ALICE],
])('revoking %s refuses the token from then on, and cuts what is open', async (_whom, value) => {
  const token = bank.token({ sub: ALICE, act: byRunner, ...boundTo(runner) });
  bank.resource.handler = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const socket = await bank.tls({ as: runner });
  socket.write(
    `GET /accounts-api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString();
  });
  while (!all.includes('data: 1')) await once(socket, 'data');
  const atMs = bank.now();
  const untilMs = atMs + 60_000;
  bank.change([{ kind: 'revocation', target: 'subject', value, reason: 'test', atMs, untilMs }]);
  await once(socket, 'close');
  const got = await bank.call({ as: runner, token });
  expect([got.status, (await decisionOf(got))?.reason]).toEqual([401, 'subject-disabled']);
  const closure = await bank.event((event) => event.kind === 'closure');
  expect(closure).toMatchObject({ cause: 'revoked', subject: ALICE });
});
