import { SUBJECT_KINDS, type Surface, subjectTypeName } from '@countersign/model';
import { generateSchema } from '@countersign/policy';
import { describe, expect, test } from 'vitest';
import { sharedEngine } from './repository-folder.ts';

const operation = (
  id: string,
  method: string,
  ...types: string[]
): Surface['operations'][number] => ({
  id,
  method,
  path: `/${types.map((type) => `{${type}}`).join('/')}`,
  parameters: types.map((type) => ({ name: type, entityType: type })),
  scopes: [],
  isStateChanging: method !== 'GET',
});

const ACCOUNTS: Surface = {
  name: 'accounts',
  namespace: 'Accounts',
  title: 'Accounts',
  owner: 'o',
  criticality: 'high',
  regulations: [],
  dataClasses: [],
  persons: [],
  mode: 'enforce',
  upstream: { kind: 'unix', path: 'a.sock' },
  audience: 'https://a.example',
  factsMaxAgeSeconds: 60,
  evidenceLevel: 'E1',
  identityHeaders: [],
  operations: [
    operation('ListAccounts', 'GET'),
    operation('GetAccount', 'GET', 'Account'),
    operation('GetStatement', 'GET', 'Account', 'Statement'),
    operation('CloseAccount', 'DELETE', 'Account'),
  ],
};
const CARDS: Surface = {
  ...ACCOUNTS,
  name: 'cards',
  namespace: 'Cards',
  operations: [operation('GetAccount', 'GET', 'Account')],
};

/** What a policy set of one policy is told; empty when the policy is good. */
async function faults(policy: string, schema: string): Promise<string[]> {
  const problems = await sharedEngine().validate([{ id: 'p', text: policy }], schema);
  return problems.map(({ message }) => message);
}

describe('policies may ask', () => {
  const schema = generateSchema([ACCOUNTS, CARDS]);
  test.each([
    [
      'about every part of the context',
      `permit (principal, action, resource) when {
      context.scopes.contains("a") && context.keyProof == "mtls" && context.time > datetime("2026-01-01") &&
      context.ip.isInRange(ip("10.0.0.0/8")) && context.risk == "LOW" &&
      context has acr && context.acr == "phr" && context has amr && context.amr.contains("hwk") &&
      context has authTime && context.authTime > datetime("2026-01-01") &&
      context has session && context.session == "s" && context has purpose && context.purpose == "p" &&
      context has caller && context.caller == Workload::"w" && context.actors.contains(Agent::"a") &&
      context has actingWorkloads && context.actingWorkloads.contains(Workload::"w") &&
      context has transaction && context.transaction.id == "t" &&
      context.transaction.requestingWorkload == Workload::"w" };`,
    ],
    [
      'for a whole group of actions',
      'permit (principal, action in Accounts::Action::"write", resource is Accounts::Account);',
    ],
    [
      'for a surface',
      'permit (principal, action, resource) when { resource in Surface::"accounts" };',
    ],
    [
      'for what a resource is in',
      'permit (principal, action == Accounts::Action::"GetStatement", resource is Accounts::Statement) when { resource in Accounts::Account::"1" };',
    ],
    [
      'for an operation without path parameter',
      'permit (principal, action == Accounts::Action::"ListAccounts", resource == Surface::"accounts");',
    ],
    [
      'for groups and roles',
      'permit (principal in Group::"g", action, resource) unless { principal in Role::"r" };',
    ],
  ])('%s', async (_, policy) => {
    expect(await faults(policy, schema)).toEqual([]);
  });

  test.each(SUBJECT_KINDS.map(subjectTypeName))('for a %s', async (type) => {
    const policy = `permit (principal is ${type}, action, resource);`;
    expect(await faults(policy, schema)).toEqual([]);
  });

  test.each([
    [
      'for an optional part without asking whether it is there',
      'permit (principal, action, resource) when { context.acr == "phr" };',
    ],
    [
      'for a part that there is not',
      'permit (principal, action, resource) when { context.country == "GB" };',
    ],
    [
      'for the account of another surface',
      'permit (principal, action in Accounts::Action::"read", resource is Cards::Account);',
    ],
    ['for a group of no surface', 'permit (principal, action in Action::"read", resource);'],
    [
      'for an attribute that nobody declared',
      'permit (principal is Partner, action, resource) when { principal.accounts.contains(resource) };',
    ],
    [
      'for actions of two surfaces in one list, which are of two types to Cedar',
      'permit (principal, action in [Accounts::Action::"GetAccount", Cards::Action::"GetAccount"], resource);',
    ],
    [
      'for a reading action among the writing ones',
      'permit (principal, action in Accounts::Action::"write", resource == Surface::"accounts");',
    ],
  ])('not %s', async (_, policy) => {
    expect(await faults(policy, schema)).not.toEqual([]);
  });
});

describe('the hand-written part', () => {
  test('declares attributes, of subjects and of resources', async () => {
    const schema = generateSchema(
      [ACCOUNTS],
      `// who a partner is
      entity Partner in [Group] = { accounts: Set<Accounts::Account>, "odd key"?: Long };
      namespace Accounts {
        @doc("; entity Account; }") // with what confuses a careless reader
        entity Account = { holder: String } tags String;
      }`,
    );
    const policy = `permit (principal is Partner, action, resource is Accounts::Account) when {
      principal.accounts.contains(resource) && resource.holder == "h" && principal has "odd key" };`;
    expect(await faults(policy, schema)).toEqual([]);
  });

  test('keeps the parents that requests bring', async () => {
    const schema = generateSchema(
      [ACCOUNTS],
      'entity Partner in [Role]; entity Bank; namespace Accounts { entity Statement in Bank; }',
    );
    const policy = `permit (principal is Partner in Group::"g", action, resource is Accounts::Statement) when {
      resource in Accounts::Account::"1" && resource in Bank::"b" && resource in Surface::"accounts" && principal in Role::"r" };`;
    expect(await faults(policy, schema)).toEqual([]);
  });

  test('brings types, enumerations, actions and namespaces of its own', async () => {
    const schema = generateSchema(
      [ACCOUNTS],
      `type Money = { amount: decimal, currency: String };
      entity Tier enum ["gold", "silver"];
      entity A, B in [Group] { limit: Money };
      namespace Accounts { action "all"; }
      namespace Bank::Branches { entity Branch; }`,
    );
    const policy = `permit (principal, action, resource) when {
      A::"a" in Group::"g" && B::"b".limit.currency == "GBP" && Tier::"gold" == Tier::"silver" };`;
    expect(await faults(policy, schema)).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/unrecognized|resolve|parse/)]),
    );
  });

  test.each([
    'entity',
    'entity = {};',
    'entity A in { a: Long };',
    'entity A B;',
    'entity A',
    'namespace X {',
    '}',
    '"',
    'entity A in [',
    '@',
    '@doc("',
    'type X =',
    '};;{',
    'entity Group in;',
    'namespace { entity A; }',
  ])('is refused by Cedar, and nothing is lost silently: %s', async (text) => {
    const schema = generateSchema([ACCOUNTS], text);
    expect(await faults('permit (principal, action, resource);', schema)).not.toEqual([]);
  });
});
