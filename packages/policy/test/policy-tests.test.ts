import { entitiesFrom } from '@countersign/cedar';
import { subjectTypeName } from '@countersign/model';
import { checkRepository, type PolicyTestQuestion, type RunPolicyTest } from '@countersign/policy';
import { describe, expect, test } from 'vitest';
import { NOW_MS, repositoryFolder, sharedEngine } from './repository-folder.ts';
import { says } from './says.ts';

const TESTS = 'policies/tests/accounts.yaml';

/** Decides by the real engine, with the attributes of the registrations: the part of `decision` that tests need. */
const decide: RunPolicyTest = async ({ request, risk }, repository) => {
  const set = await sharedEngine().load(
    repository.policies.map(({ id, text }) => ({ id, text })),
    repository.schema,
  );
  const principal = { type: subjectTypeName(request.subject.kind), id: request.subject.id };
  const { parents, ...resource } = request.resource;
  const registration = repository.registrations.find(({ subject }) => subject.id === principal.id);
  const answer = set.authorize(
    {
      principal,
      action: { type: 'Accounts::Action', id: request.action },
      resource,
      context: {
        scopes: request.scopes,
        keyProof: request.keyProof,
        risk,
        time: { __extn: { fn: 'datetime', arg: new Date(request.timeMs).toISOString() } },
        ip: { __extn: { fn: 'ip', arg: request.ip } },
        actors: [],
      },
    },
    entitiesFrom(
      {
        get: (uid) =>
          uid.type === principal.type && uid.id === principal.id
            ? { uid, attrs: (registration?.attributes ?? {}) as never, parents: [] }
            : uid.id === resource.id && uid.type === resource.type
              ? { uid, attrs: {}, parents }
              : undefined,
      },
      set.parseEntity,
    ),
  );
  const isPermit = answer.decision === 'allow';
  return {
    effect: isPermit ? 'permit' : 'deny',
    reason: isPermit
      ? 'policy-permits'
      : answer.reasons.length > 0
        ? 'policy-forbids'
        : 'policy-none-permits',
    policies: answer.reasons,
  };
};

test('the tests of a new repository hold', async () => {
  await using folder = await repositoryFolder();
  const { repository, problems } = await folder.check({ runTest: decide });
  expect(problems).toEqual([]);
  expect(repository).toBeDefined();
});

describe('a test that does not hold is an error at its own line', () => {
  test.each([
    [
      'another decision',
      async (folder: Awaited<ReturnType<typeof repositoryFolder>>) =>
        folder.edit(
          'policies/accounts.cedar',
          'principal.accounts.contains',
          '!principal.accounts.contains',
        ),
      [
        `${TESTS}:8:11 error: deny (policy-none-permits, policies none) in test 'a partner reads an account that it was granted'; permit; change the policies, or what the test expects`,
        `${TESTS}:18:11 error: permit (policy-permits, policies partners-read-granted-accounts) in test 'a partner does not read another account'; deny; change the policies, or what the test expects`,
      ],
    ],
    [
      'another policy',
      async (folder: Awaited<ReturnType<typeof repositoryFolder>>) =>
        folder.edit(TESTS, 'policy: partners-read-granted-accounts', 'policy: nobody-at-high-risk'),
      [
        `${TESTS}:9:11 error: permit (policy-permits, policies partners-read-granted-accounts) in test 'a partner reads an account that it was granted'; policy 'nobody-at-high-risk' among those that determine it; change the policies, or which of them the test expects`,
      ],
    ],
  ])('%s', async (_, breaks, expected) => {
    await using folder = await repositoryFolder();
    await breaks(folder);
    const { repository, problems } = await folder.check({ runTest: decide });
    expect(problems.map(says)).toEqual(expected);
    expect(repository).toBeUndefined();
  });
});

test('asks with everything that a test says', async () => {
  await using folder = await repositoryFolder();
  await folder.write(
    TESTS,
    `- name: all of it
  request:
    subject: customer/1842
    actors: [agent/helper]
    caller: workload/payments/api
    surface: accounts
    action: GetAccount
    resource: { type: Account, id: '22289', parents: [{ type: Group, id: g }, { type: Accounts::Account, id: '1' }] }
    scopes: [accounts, more]
    keyProof: dpop
    time: 2026-11-02T11:00:00+01:00
    ip: 2001:db8::1
    risk: MEDIUM
    session: s-1
    acr: phr
    amr: [hwk]
    authTime: 2026-11-02T09:59:00Z
    purpose: dispute
    transaction: { id: t-1, requestingWorkload: workload/countersign/edge }
  expect: challenge
- name: as little as can be
  request: { subject: workload/payments/api, surface: accounts, action: ListAccounts }
  expect: challenge
`,
  );
  const asked: PolicyTestQuestion[] = [];
  const { problems } = await folder.check({
    runTest: async (question) => {
      asked.push(question);
      return { effect: 'challenge', reason: 'authentication-insufficient', policies: [] };
    },
  });
  expect(problems).toEqual([]);
  expect(asked).toEqual([
    {
      risk: 'MEDIUM',
      request: {
        subject: { kind: 'customer', id: 'spiffe://bank.example/customer/1842' },
        actors: [{ kind: 'agent', id: 'spiffe://bank.example/agent/helper' }],
        caller: { kind: 'workload', id: 'spiffe://bank.example/workload/payments/api' },
        session: { id: 's-1', acr: 'phr', amr: ['hwk'], authTimeMs: Date.UTC(2026, 10, 2, 9, 59) },
        keyProof: 'dpop',
        surface: 'accounts',
        action: 'GetAccount',
        resource: {
          type: 'Accounts::Account',
          id: '22289',
          parents: [
            { type: 'Accounts::Group', id: 'g' },
            { type: 'Accounts::Account', id: '1' },
            { type: 'Surface', id: 'accounts' },
          ],
        },
        purpose: 'dispute',
        scopes: ['accounts', 'more'],
        transaction: {
          id: 't-1',
          requestingWorkload: 'spiffe://bank.example/workload/countersign/edge',
        },
        timeMs: Date.UTC(2026, 10, 2, 10),
        ip: '2001:db8::1',
      },
    },
    {
      risk: 'unknown',
      request: {
        subject: { kind: 'workload', id: 'spiffe://bank.example/workload/payments/api' },
        actors: [],
        keyProof: 'mtls',
        surface: 'accounts',
        action: 'ListAccounts',
        resource: { type: 'Surface', id: 'accounts', parents: [] },
        scopes: [],
        timeMs: NOW_MS,
        ip: '192.0.2.1',
      },
    },
  ]);
});

test('asks nothing while anything else is wrong', async () => {
  await using folder = await repositoryFolder();
  await folder.edit('countersign.yaml', 'svidTtl: 1h', 'svidTtl: 1d');
  let asked = 0;
  await checkRepository(folder.folder, {
    engine: sharedEngine(),
    now: () => NOW_MS,
    runTest: async () => {
      asked += 1;
      return { effect: 'permit', reason: 'policy-permits', policies: [] };
    },
  });
  expect(asked).toBe(0);
});
