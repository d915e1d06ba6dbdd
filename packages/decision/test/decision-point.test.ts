import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { createDecisionPoint, type LocalDecisionPoint } from '@countersign/decision';
import type { AccessRequest, Fact } from '@countersign/model';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import {
  ACCOUNT,
  bundle,
  id,
  LEDGERLY,
  NOON,
  PERMIT_ALL,
  request,
  risk,
  subject,
  subjectFact,
} from './bank.ts';

const engine = createCedarEngine({ startThread: startNodeThread });
const points: LocalDecisionPoint[] = [];
afterEach(() => {
  for (const point of points.splice(0)) point.release();
});
afterAll(() => engine.close());

function newPoint(...facts: readonly Fact[]): LocalDecisionPoint {
  const point = createDecisionPoint({ engine });
  points.push(point);
  point.facts.replace([LEDGERLY, ACCOUNT, ...facts], { sequence: 7, asOfMs: NOON });
  return point;
}

async function pointWith(
  policies: { readonly [id: string]: string },
  ...facts: readonly Fact[]
): Promise<LocalDecisionPoint> {
  const point = newPoint(...facts);
  await point.install(bundle(policies));
  return point;
}

const OWN =
  'permit (principal is Partner, action == Accounts::Action::"GetAccount", resource) when { principal has accounts && principal.accounts.contains(resource) };';

test('permits what a policy permits, and says by what', async () => {
  const point = await pointWith({ own: OWN });
  const decision = point.decide(request());
  expect(decision).toMatchObject({
    effect: 'permit',
    reason: 'policy-permits',
    policies: ['own'],
    errors: [],
    obligations: [],
    policyVersion: point.bundle?.version,
    factSequence: 7,
  });
  expect(decision.microseconds).toBeGreaterThan(0);
  expect(decision.challenge).toBeUndefined();
});

test('denies what no policy permits', async () => {
  const point = await pointWith({ own: OWN });
  const other = request({ resource: { type: 'Accounts::Account', id: '1', parents: [] } });
  expect(point.decide(other)).toMatchObject({
    effect: 'deny',
    reason: 'policy-none-permits',
    policies: [],
    errors: [],
  });
});

test('denies everything before the first bundle', () => {
  expect(newPoint().decide(request())).toMatchObject({
    effect: 'deny',
    reason: 'policy-missing',
    policyVersion: '',
    factSequence: 7,
  });
});

describe('who stands in the chain', () => {
  const agent = { actors: [subject('agent/reconciler')] };
  const caller = { caller: subject('workload/edge') };
  test.each<[string, Partial<AccessRequest>, readonly Fact[], string]>([
    ['a registered subject', {}, [], 'policy-permits'],
    ['a subject without a fact', { subject: subject('partner/other') }, [], 'peer-unregistered'],
    ['a disabled subject', {}, [{ ...LEDGERLY, enabled: false }], 'subject-disabled'],
    ['an enabled agent', agent, [subjectFact('agent/reconciler')], 'policy-permits'],
    ['an unregistered agent', agent, [], 'peer-unregistered'],
    [
      'a disabled agent',
      agent,
      [subjectFact('agent/reconciler', { enabled: false })],
      'subject-disabled',
    ],
    ['a caller', caller, [subjectFact('workload/edge')], 'policy-permits'],
    ['a caller without a fact', caller, [], 'policy-permits'],
    [
      'a disabled caller',
      caller,
      [subjectFact('workload/edge', { enabled: false })],
      'subject-disabled',
    ],
  ])('%s', async (_who, change, facts, reason) => {
    const point = await pointWith({ all: PERMIT_ALL }, ...facts);
    expect(point.decide(request(change)).reason).toBe(reason);
  });
});

test('a forbid denies and names itself', async () => {
  const point = await pointWith({ all: PERMIT_ALL, no: 'forbid (principal, action, resource);' });
  expect(point.decide(request())).toMatchObject({
    effect: 'deny',
    reason: 'policy-forbids',
    policies: ['no'],
  });
});

test('a forbid that errors denies, which Cedar alone would permit', async () => {
  const overflow = 'principal has limit && principal.limit * 9007199254740991 * 4 > 0';
  const forbid = `forbid (principal is Partner, action, resource) when { ${overflow} };`;
  const rich = { ...LEDGERLY, attributes: { limit: 9007199254740991 } };
  const point = await pointWith({ all: PERMIT_ALL, no: forbid }, rich);
  const decision = point.decide(request());
  expect(decision).toMatchObject({ effect: 'deny', reason: 'policy-error' });
  expect(decision.errors.map((error) => error.policy)).toEqual(['no']);
  point.facts.replace([LEDGERLY], { sequence: 8, asOfMs: NOON });
  expect(point.decide(request()).effect).toBe('permit');
});

test('a permit that errors does not stand in the way of another, and alone is an error', async () => {
  const overflow = 'principal has limit && principal.limit * 9007199254740991 * 4 > 0';
  const permit = `permit (principal is Partner, action, resource) when { ${overflow} };`;
  const rich = { ...LEDGERLY, attributes: { limit: 9007199254740991 } };
  const both = await pointWith({ all: PERMIT_ALL, bad: permit }, rich);
  expect(both.decide(request())).toMatchObject({
    effect: 'permit',
    policies: ['all'],
    errors: [{ policy: 'bad' }],
  });
  const alone = await pointWith({ bad: permit }, rich);
  expect(alone.decide(request())).toMatchObject({ effect: 'deny', reason: 'policy-error' });
});

describe('step-up', () => {
  const forbid = (annotation: string, when = 'true') =>
    `${annotation} forbid (principal, action, resource) when { ${when} };`;
  const weak = '!(context has acr && context.acr == "phr")';

  test('a forbid with @challenge asks to come back stronger, and lets pass who does', async () => {
    const point = await pointWith({
      all: PERMIT_ALL,
      up: forbid('@challenge("acr=phr max_age=300")', weak),
    });
    expect(point.decide(request())).toMatchObject({
      effect: 'challenge',
      reason: 'authentication-insufficient',
      policies: ['up'],
      challenge: { acrValues: ['phr'], maxAgeSeconds: 300 },
    });
    const strong = request({ session: { id: 's', acr: 'phr' } });
    expect(point.decide(strong).effect).toBe('permit');
  });

  test('beside a forbid without one there is nothing to come back for', async () => {
    const point = await pointWith({
      all: PERMIT_ALL,
      up: forbid('@challenge("acr=phr")'),
      no: forbid(''),
    });
    const decision = point.decide(request());
    expect(decision).toMatchObject({
      effect: 'deny',
      reason: 'policy-forbids',
      policies: ['no', 'up'],
    });
    expect(decision.challenge).toBeUndefined();
  });

  test('several are merged: every acr, the shortest age', async () => {
    const point = await pointWith({
      all: PERMIT_ALL,
      a: forbid('@challenge("acr=phr acr=phrh max_age=300")'),
      b: forbid('@challenge("max_age=60 acr=phr")'),
    });
    expect(point.decide(request()).challenge).toEqual({
      acrValues: ['phr', 'phrh'],
      maxAgeSeconds: 60,
    });
  });

  test.each([
    '',
    ' ',
    'acr',
    'acr=',
    'max_age=x',
    'max_age=-1',
    'max_age=1 max_age=2',
    'acr=a,b "c"',
    'other=1',
    'max_age=1234567890',
  ])('refuses a bundle whose challenge says %j', async (text) => {
    const policies = { up: forbid(`@challenge(${JSON.stringify(text)})`) };
    await expect(newPoint().install(bundle(policies))).rejects.toMatchObject({
      code: 'ERR_DECISION_BUNDLE_INVALID',
      message: expect.stringMatching(/^cannot load policy 'up': found @challenge/),
    });
  });

  test('refuses a challenge on a permit', async () => {
    const policies = { all: `@challenge("acr=phr") ${PERMIT_ALL}` };
    await expect(newPoint().install(bundle(policies))).rejects.toMatchObject({
      code: 'ERR_DECISION_BUNDLE_INVALID',
    });
  });
});

describe('what policies see', () => {
  const sees = async (when: string, change: Partial<AccessRequest> = {}, ...facts: Fact[]) => {
    const policy = `permit (principal, action, resource) when { ${when} };`;
    const point = await pointWith({ see: policy }, ...facts);
    const decision = point.decide(request(change));
    expect(decision.errors).toEqual([]);
    return decision.effect === 'permit';
  };
  const edge = subject('workload/edge');
  const transaction = { id: 'txn-1', requestingWorkload: edge.id };
  const statement = {
    type: 'Accounts::Statement',
    id: '9',
    parents: [
      { type: 'Accounts::Account', id: '22289' },
      { type: 'Surface', id: 'accounts' },
    ],
  };

  test.each<[string, string, Partial<AccessRequest>, Fact[]]>([
    ['scopes', 'context.scopes.contains("accounts")', {}, []],
    ['the key proof', 'context.keyProof == "mtls"', {}, []],
    ['the time', 'context.time == datetime("2026-11-22T12:00:00.000Z")', {}, []],
    ['the address', 'context.ip.isInRange(ip("192.0.2.0/24"))', {}, []],
    [
      'an IPv4 address of a dual socket',
      'context.ip.isInRange(ip("192.0.2.0/24"))',
      { ip: '::ffff:192.0.2.7' },
      [],
    ],
    ['an IPv6 address without its zone', 'context.ip == ip("fe80::1")', { ip: 'fe80::1%eth0' }, []],
    ['an unknown risk', 'context.risk == "unknown"', {}, []],
    ['the risk of the subject', 'context.risk == "HIGH"', {}, [risk('partner/ledgerly', 'HIGH')]],
    [
      'no session',
      '!(context has session) && !(context has acr) && !(context has amr) && !(context has authTime)',
      {},
      [],
    ],
    [
      'the session',
      'context has session && context.session == "s1" && context has acr && context.acr == "phr" && context has amr && context.amr.contains("hwk")',
      { session: { id: 's1', acr: 'phr', amr: ['hwk'] } },
      [],
    ],
    [
      'when the session began',
      'context has authTime && context.time.durationSince(context.authTime) <= duration("5m")',
      { session: { id: 's1', authTimeMs: NOON - 300_000 } },
      [],
    ],
    ['the purpose', 'context has purpose && context.purpose == "audit"', { purpose: 'audit' }, []],
    [
      'the caller',
      `context has caller && context.caller == Workload::"${edge.id}"`,
      { caller: edge },
      [],
    ],
    [
      'the groups of the caller',
      'context has caller && context.caller in Group::"edges"',
      { caller: edge },
      [subjectFact('workload/edge', { parents: [{ type: 'Group', id: 'edges' }] })],
    ],
    ['no caller', '!(context has caller) && !(context has transaction)', {}, []],
    [
      'the agents',
      `context.actors.contains(Agent::"${id('agent/a')}")`,
      { actors: [subject('agent/a')] },
      [subjectFact('agent/a')],
    ],
    [
      'the workloads that act: as actors, and as what they are',
      `context.actors.contains(Agent::"${id('workload/b')}") && context.actors.contains(Agent::"${id('agent/a')}") && context has actingWorkloads && context.actingWorkloads.contains(Workload::"${id('workload/b')}")`,
      { actors: [subject('workload/b'), subject('agent/a')] },
      [subjectFact('agent/a'), subjectFact('workload/b')],
    ],
    [
      'that no workload acts',
      '!(context has actingWorkloads)',
      { actors: [subject('agent/a')] },
      [subjectFact('agent/a')],
    ],
    [
      'the transaction',
      `context has transaction && context.transaction.id == "txn-1" && context.transaction.requestingWorkload == Workload::"${edge.id}"`,
      { transaction },
      [],
    ],
    ['the groups of the subject', 'principal in Group::"fintechs"', {}, []],
    [
      'what holds a resource',
      'resource in Surface::"accounts" && resource in Accounts::Account::"22289"',
      { action: 'GetStatement', resource: statement },
      [],
    ],
    [
      'the facts of a resource, and its parents of the path',
      'resource is Accounts::Account && resource has holder && resource.holder == "customer-1842" && resource in Surface::"accounts"',
      {},
      [],
    ],
    [
      'a surface as the resource',
      'resource == Surface::"accounts"',
      { action: 'GetAccounts', resource: { type: 'Surface', id: 'accounts', parents: [] } },
      [],
    ],
    [
      'a human of the same name is another',
      `!(principal == Human::"${id('partner/ledgerly')}")`,
      {},
      [],
    ],
  ])('%s', async (_what, when, change, facts) => {
    expect(await sees(when, change, ...facts)).toBe(true);
    // The other side: the opposite is not seen as well.
    expect(await sees(`!(${when})`, change, ...facts)).toBe(false);
  });

  test('a subject under a type that is not its own is nobody', async () => {
    const plain = subjectFact('human/ann', { parents: [{ type: 'Group', id: 'staff' }] });
    const isIn = (type: string) => sees(`${type}::"${plain.id}" in Group::"staff"`, {}, plain);
    expect(await isIn('Human')).toBe(true);
    expect(await isIn('Customer')).toBe(false);
  });

  test('a resource has the parents of its fact beside those of its path', async () => {
    const twice = {
      ...ACCOUNT,
      parents: [
        { type: 'Surface', id: 'accounts' },
        { type: 'Surface', id: 'ledger' },
      ],
    } as Fact;
    expect(await sees('resource in Surface::"ledger"', {}, twice)).toBe(true);
    expect(await sees('resource in Surface::"accounts"', {}, twice)).toBe(true);
    expect(await sees('resource in Surface::"ledger"')).toBe(false);
  });
});

test.each<[string, Partial<AccessRequest>]>([
  ['an action that the surface lacks', { action: 'DropAccount' }],
  ['a surface that the bundle lacks', { surface: 'payments' }],
  ['a resource of another type', { resource: { type: 'Surface', id: 'accounts', parents: [] } }],
  ['a caller that is no workload', { caller: subject('device/phone') }],
  ['a time that no calendar has', { timeMs: Number.NaN }],
  ['a time after the year 9999', { timeMs: 253_402_300_800_000 }],
  ['no address', { ip: 'localhost' }],
])('denies %s as an error, whatever is permitted', async (_what, change) => {
  const point = await pointWith({ all: PERMIT_ALL });
  const decision = point.decide(request(change));
  expect(decision).toMatchObject({ effect: 'deny', reason: 'policy-error', policies: [] });
  expect(decision.errors).toHaveLength(1);
  expect(point.decide(request()).effect).toBe('permit');
});

test('a fact that does not fit the schema denies', async () => {
  const point = await pointWith(
    { all: PERMIT_ALL },
    { ...LEDGERLY, attributes: { limit: 'much' } },
  );
  expect(point.decide(request())).toMatchObject({ effect: 'deny', reason: 'policy-error' });
});

test('the bundle before decides until the next one is loaded, and goes on when that fails', async () => {
  const point = await pointWith({ one: PERMIT_ALL });
  const installing = point.install(bundle({ two: PERMIT_ALL }, { sequence: 2 }));
  expect(point.decide(request()).policies).toEqual(['one']);
  await installing;
  expect(point.decide(request()).policies).toEqual(['two']);
  await expect(point.install(bundle({ three: 'permit (' }, { sequence: 3 }))).rejects.toMatchObject(
    {
      code: 'ERR_DECISION_BUNDLE_INVALID',
      message: expect.stringMatching(/^cannot load bundle 3: cannot load policy 'three'/),
    },
  );
  expect(point.bundle?.sequence).toBe(2);
  expect(point.decide(request()).policies).toEqual(['two']);
});

test('installing again and again does not run out of anything', async () => {
  const point = newPoint();
  for (let sequence = 1; sequence <= 70; sequence += 1) {
    await point.install(bundle({ all: PERMIT_ALL }, { sequence }));
  }
  expect(point.decide(request()).effect).toBe('permit');
});

test('bundles installed at once come into force in the order of the calls', async () => {
  const point = newPoint();
  const sequences = [1, 2, 3];
  await Promise.all(
    sequences.map((sequence) => point.install(bundle({ all: PERMIT_ALL }, { sequence }))),
  );
  expect(point.bundle?.sequence).toBe(3);
});

test('a closed engine is not the fault of the bundle', async () => {
  const closed = createCedarEngine({ startThread: startNodeThread });
  await closed.close();
  const point = createDecisionPoint({ engine: closed });
  await expect(point.install(bundle({ all: PERMIT_ALL }))).rejects.toMatchObject({
    code: 'ERR_CEDAR_CLOSED',
  });
});

test('a released point denies, also when a bundle was on its way', async () => {
  const point = await pointWith({ all: PERMIT_ALL });
  const installing = point.install(bundle({ all: PERMIT_ALL }, { sequence: 2 }));
  point.release();
  await installing;
  expect(point.decide(request()).reason).toBe('policy-missing');
});

describe('a customer, of whom its token tells and no fact', () => {
  const ofCustomer =
    'permit (principal is Customer in Group::"retail", action == Accounts::Action::"GetAccount", resource) when { principal has accounts && principal.accounts.contains(resource) };';
  const owner = {
    attributes: { accounts: [{ __entity: { type: 'Accounts::Account', id: '22289' } }] },
    parents: [{ type: 'Group', id: 'retail' }],
  };
  const asked = (change: Partial<AccessRequest> = {}) =>
    request({ subject: subject('customer/1'), subjectEntity: owner, ...change });

  test('is decided by what the token says of it', async () => {
    const point = await pointWith({ own: ofCustomer });
    expect(point.decide(asked())).toMatchObject({ effect: 'permit', policies: ['own'] });
    const other = { ...asked().resource, id: '1' };
    expect(point.decide(asked({ resource: other })).reason).toBe('policy-none-permits');
    const poor = { attributes: {}, parents: owner.parents };
    expect(point.decide(asked({ subjectEntity: poor })).reason).toBe('policy-none-permits');
    // What one token says is nothing that the next one knows.
    expect(point.decide(asked()).effect).toBe('permit');
  });

  test('is nobody without it, and so is anybody else with it', async () => {
    const point = await pointWith({ all: PERMIT_ALL });
    const { subjectEntity: _, ...without } = asked();
    expect(point.decide(without).reason).toBe('peer-unregistered');
    for (const name of ['human/1', 'agent/1', 'partner/1', 'workload/1', 'device/1']) {
      expect(point.decide(asked({ subject: subject(name) })).reason).toBe('peer-unregistered');
    }
    expect(point.decide(asked({ actors: [subject('customer/2')] })).reason).toBe(
      'peer-unregistered',
    );
  });

  test('is by the fact, where there is one', async () => {
    const point = await pointWith({ own: ofCustomer }, subjectFact('customer/1'));
    expect(point.decide(asked()).reason).toBe('policy-none-permits');
    const off = await pointWith({ own: ofCustomer }, subjectFact('customer/1', { enabled: false }));
    expect(off.decide(asked()).reason).toBe('subject-disabled');
  });

  test('denies what does not fit the schema', async () => {
    const point = await pointWith({ all: PERMIT_ALL });
    const odd = { attributes: { vip: true }, parents: [] };
    expect(point.decide(asked({ subjectEntity: odd })).reason).toBe('policy-error');
  });
});
