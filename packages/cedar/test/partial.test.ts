import * as wasm from '@cedar-policy/cedar-wasm/nodejs';
import {
  type CedarEntity,
  type CedarRequest,
  type CedarUid,
  completeAnswer,
  completeResidual,
  createCedarEngine,
  createJsonParser,
  type EntityView,
  entitiesFrom,
  evaluatePartially,
  type PartialRequest,
  type PolicySet,
  type PolicySource,
  residualToCedarJson,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policyText } from './partial/arbitrary-policies.ts';
import * as untyped from './partial/arbitrary-worlds.ts';
import { smallConditions } from './partial/small-policies.ts';
import * as typed from './partial/typed-worlds.ts';
import { type Mask, mask, withUnknowns } from './partial/unknowns.ts';

/** Printed with every failure; another one takes other policies, worlds and unknowns. */
const SEED = Number(process.env['CEDAR_PARTIAL_SEED'] ?? 20_261_126);
const RUNS = Number(process.env['CEDAR_PARTIAL_RUNS'] ?? 500);
const SETS = Number(process.env['CEDAR_PARTIAL_SETS'] ?? 80);

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const uid = (type: string, id: string): CedarUid => ({ type, id });

function viewOf(entities: readonly CedarEntity[], schema?: PolicySet['schema']): EntityView {
  const byName = new Map(entities.map((entity) => [JSON.stringify(entity.uid), entity]));
  return entitiesFrom(
    { get: ({ type, id }) => byName.get(JSON.stringify({ type, id })) },
    createJsonParser(schema).parseEntity,
  );
}

describe('what is left of a policy', () => {
  const SCHEMA = `
    entity Team in [Team];
    entity User in [Team] { level: Long };
    entity Robot;
    entity Vault in [Vault] { owner: User, sealed: Bool, note?: String };
    action open appliesTo {
      principal: [User, Robot], resource: Vault,
      context: { mfa: Bool, risk?: Long, device?: { compliant: Bool, id: String } }
    };
  `;
  const ALICE = uid('User', 'alice');
  const request: PartialRequest = {
    principal: ALICE,
    action: uid('Action', 'open'),
    resource: { type: 'Vault' },
    context: { mfa: true },
  };
  const alice: CedarEntity = { uid: ALICE, attrs: { level: 3 }, parents: [uid('Team', 'staff')] };

  async function leftOf(
    condition: string,
    {
      change = {},
      isTyped = true,
      scope = 'principal, action, resource',
    }: {
      readonly change?: Partial<PartialRequest>;
      readonly isTyped?: boolean;
      readonly scope?: string;
    } = {},
  ) {
    const text = `permit (${scope}) when { ${condition} };`;
    const set = await engine.load([{ id: 'p', text }], isTyped ? SCHEMA : undefined, {
      validation: 'off',
    });
    const answer = evaluatePartially(set, { ...request, ...change }, viewOf([alice], set.schema));
    const [residual] = answer.residuals;
    if (residual) return JSON.stringify(residualToCedarJson(residual).conditions[0]?.body);
    if (answer.errored[0]) return answer.errored[0].message;
    return answer.satisfied.length > 0;
  }

  const left = (body: unknown) => JSON.stringify(body);
  const RESOURCE = { Var: 'resource' };
  const CONTEXT = { Var: 'context' };
  const owner = { '.': { left: RESOURCE, attr: 'owner' } };

  test('is the scope as a condition, with what is known put in', async () => {
    expect(await leftOf('true', { scope: 'principal, action, resource in Vault::"v"' })).toBe(
      left({ in: { left: RESOURCE, right: { Value: { __entity: uid('Vault', 'v') } } } }),
    );
    expect(await leftOf('resource.owner == principal')).toBe(
      left({ '==': { left: owner, right: { Value: { __entity: { ...ALICE } } } } }),
    );
    expect(await leftOf('["a", "b"].contains(resource.note)')).toBe(
      left({
        contains: {
          left: { Set: [{ Value: 'a' }, { Value: 'b' }] },
          right: { '.': { left: RESOURCE, attr: 'note' } },
        },
      }),
    );
    expect(await leftOf('resource.owner.level < principal.level + 1')).toBe(
      left({ '<': { left: { '.': { left: owner, attr: 'level' } }, right: { Value: 4 } } }),
    );
  });

  test('is nothing where the known decides', async () => {
    expect(await leftOf('false && resource.sealed')).toBe(false);
    expect(await leftOf('true || resource.sealed')).toBe(true);
    expect(await leftOf('principal in Team::"staff" || resource.sealed')).toBe(true);
    expect(await leftOf('if context.mfa then principal.level > 1 else resource.sealed')).toBe(true);
    expect(await leftOf('context has risk && resource.sealed')).toBe(false);
    expect(await leftOf('context.risk > 1 && resource.sealed')).toBe(
      'record does not have the attribute `risk`',
    );
  });

  test('keeps what could fail before a certain false, and drops what could not', async () => {
    expect(await leftOf('resource == Vault::"v" && false')).toBe(false);
    expect(await leftOf('resource has note && false')).toBe(false);
    expect(await leftOf('!(resource in Vault::"v") || true')).toBe(true);
    // `Vault::"v"` may be missing, and then reading it is an error.
    expect(await leftOf('resource.sealed && false')).toBe(
      left({
        '&&': { left: { '.': { left: RESOURCE, attr: 'sealed' } }, right: { Value: false } },
      }),
    );
  });

  test('keeps a certain error where something unknown decides whether it is reached', async () => {
    const answer = await leftOf('resource == Vault::"v" && context.risk > 1');
    expect(answer).toContain('{"error":[{"Value":"record does not have the attribute `risk`"}]}');
  });

  test('keeps the type check of `&&` for what may be no boolean', async () => {
    const unknown = { change: { context: {}, unknownContext: [{ path: ['mfa'] }] } } as const;
    const mfa = { '.': { left: CONTEXT, attr: 'mfa' } };
    const both = left({ '&&': { left: { Value: true }, right: mfa } });
    expect(await leftOf('!(true && context.mfa)', { ...unknown, isTyped: false })).toBe(
      left({ '!': { arg: JSON.parse(both) } }),
    );
    // The schema says that it is one.
    expect(await leftOf('!(true && context.mfa)', unknown)).toBe(left({ '!': { arg: mfa } }));
    expect(await leftOf('context.mfa && true', unknown)).toBe(left(mfa));
  });

  test('knows the type of an unknown entity, given or the only one there is', async () => {
    expect(await leftOf('resource is Vault')).toBe(true);
    expect(await leftOf('resource is User || resource == User::"a"')).toBe(false);
    expect(await leftOf('resource in Team::"t"')).toBe(false);
    const open = { change: { resource: {} } };
    expect(await leftOf('resource is Vault', open)).toBe(true);
    expect(await leftOf('resource is Vault', { ...open, isTyped: false })).toBe(
      left({ is: { left: RESOURCE, entity_type: 'Vault' } }),
    );
    expect(await leftOf('principal is User', { change: { principal: {} } })).toBe(
      left({ is: { left: { Var: 'principal' }, entity_type: 'User' } }),
    );
  });

  test('tells an attribute of unknown value from one of unknown presence', async () => {
    const unknown = (isPresent: boolean) => ({
      isTyped: false,
      change: { unknownContext: [{ path: ['risk'], isPresent }] },
    });
    expect(await leftOf('context has risk', unknown(true))).toBe(true);
    expect(await leftOf('context has risk', unknown(false))).toBe(
      left({ has: { left: CONTEXT, attr: 'risk' } }),
    );
    expect(await leftOf('context has other', unknown(false))).toBe(false);
    expect(
      await leftOf('context has other', { isTyped: false, change: { unknownContext: 'rest' } }),
    ).toBe(left({ has: { left: CONTEXT, attr: 'other' } }));
  });

  test('takes a required attribute for present, and an undeclared one for absent', async () => {
    const rest = { change: { context: {}, unknownContext: 'rest' } } as const;
    expect(await leftOf('context has mfa', rest)).toBe(true);
    expect(await leftOf('context has device', rest)).toBe(
      left({ has: { left: CONTEXT, attr: 'device' } }),
    );
    expect(await leftOf('context has other', rest)).toBe(false);
    expect(await leftOf('resource has other')).toBe(false);
  });

  test('knows the rest of a record of which one attribute is unknown', async () => {
    const unknown = {
      change: {
        context: { mfa: true, device: { id: 'd1' } },
        unknownContext: [{ path: ['device', 'compliant'] }],
      },
    };
    expect(await leftOf('context has device.id && context.device.id == "d1"', unknown)).toBe(true);
    expect(await leftOf('context.device.compliant', unknown)).toBe(
      left({ '.': { left: { '.': { left: CONTEXT, attr: 'device' } }, attr: 'compliant' } }),
    );
  });

  test('takes a field out of a record of which another is unknown, when that cannot fail', async () => {
    expect(await leftOf('{ a: resource, b: 1 }.b == 1')).toBe(true);
    expect(await leftOf('{ a: resource, b: 1 } has c')).toBe(false);
    expect(await leftOf('{ a: resource.sealed, b: 1 }.b == 1')).toContain('"Record"');
    const vault = { Value: { __entity: uid('Vault', 'v') } };
    expect(await leftOf('{ a: principal, b: resource }.b == Vault::"v"')).toBe(
      left({ '==': { left: RESOURCE, right: vault } }),
    );
  });

  const CONTEXT_SCHEMA = `
    entity User in [Team] { n: Long, set: Set<String> } tags String;
    entity Team;
    action open appliesTo {
      principal: User, resource: User,
      context: {
        b: Bool, c: Bool, n: Long, s: String, e: User, set: Set<String>, users: Set<User>,
        d: { n: Long, m?: Long }, ip: ipaddr, at: datetime, dec: decimal, dur: duration
      }
    };
  `;
  const CANNOT_FAIL = `
    context.b && context.c; context.b || context.c; !context.b; context.n == context.s
    context.n < 1; 1 <= context.n; context.n > context.n; context.n >= 1
    context.at < context.at; context.dur >= context.dur
    context.set.contains(1); context.set.containsAll(context.set); ["x"].containsAny(context.set)
    context.set.isEmpty(); context.s like "x"; context.d has m; context has b; context.d.n
    context.e has n; context.e is User; context.e in Team::"t"; context.e in [Team::"t"]
    context.e in context.e; context.e is User in Team::"t"; context.e.hasTag(context.s)
    if context.b then 1 else 2; if context.b then context.d.n else context.n; [context.n, context.s]
    { a: context.n, b: context.s }; { a: context.n, b: context.s }.a
    context.ip.isIpv4(); context.ip.isIpv6(); context.ip.isLoopback(); context.ip.isMulticast()
    context.ip.isInRange(context.ip); context.dec.lessThan(context.dec)
    context.dec.lessThanOrEqual(context.dec); context.dec.greaterThan(context.dec)
    context.dec.greaterThanOrEqual(context.dec); context.at.toTime(); context.dur.toMilliseconds()
    context.dur.toSeconds(); context.dur.toMinutes(); context.dur.toHours(); context.dur.toDays()
  `;
  const CAN_FAIL = `
    context.n && context.b; context.b && context.n; context.n || context.b; context.b || context.n
    !context.n; -context.n; -context.s; context.n + 1; context.n - 1; context.n * 2
    context.n < context.s; context.s <= context.s; context.dec > context.dec; context.at >= context.dur
    context.n.contains(1); context.set.containsAll(context.n); context.n.containsAll(context.set)
    context.n.containsAny(context.set); context.set.containsAny(context.n); context.n.isEmpty()
    context.n like "x"; context.n has x; context.d.m; context.e.n; context.d has m.x.y; context.d has n.x
    context.n is User; context.n in Team::"t"; context.e in "x"; context.e in [Team::"t", "x"]
    context.e in context.set; context.e in context.users; context.e is User in "x"
    context.e.hasTag(context.n); context.n.hasTag("x"); context.e.getTag("x")
    if context.n then 1 else 2; if context.b then context.e.n else 1; [context.n, context.e.n]
    { a: context.n, b: context.e.n }; { a: context.e.n, b: 1 }.b; context.n.isIpv4()
    context.ip.isInRange(context.n); context.n.isInRange(context.ip); context.dec.lessThan(context.n)
    ip(context.s); decimal(context.s); datetime(context.s); duration(context.s)
    context.at.offset(context.dur); context.at.durationSince(context.at); context.at.toDate()
    context.at.toTime(1); context.dur.toDays(1); context.n.toTime(); context.n.toDays()
  `;
  const open = {
    principal: uid('User', 'a'),
    action: uid('Action', 'open'),
    resource: uid('User', 'a'),
    context: {},
    unknownContext: 'rest',
  } as const;
  test.each([
    ['takes for safe what cannot fail on values of the types', CANNOT_FAIL, true],
    ['takes for unsafe what can', CAN_FAIL, false],
  ])('%s', async (_, table, isSafe) => {
    const expressions = table
      .split(/[;\n]/)
      .map((each) => each.trim())
      .filter((each) => each !== '');
    const policies = expressions.map((expression) => ({
      id: expression,
      text: `permit (principal, action, resource) when { (${expression}) == "" && false };`,
    }));
    const set = await engine.load(policies, CONTEXT_SCHEMA, { validation: 'off' });
    const { falsified, residuals } = evaluatePartially(set, open, viewOf([], set.schema));
    expect(isSafe ? falsified : residuals.map(({ id }) => id)).toEqual(expressions.toSorted());
  });

  test('leaves an entity open that the unknown may turn out to be', async () => {
    expect(await leftOf('Vault::"new".sealed')).toBe(
      left({
        '.': { left: { Value: { __entity: uid('Vault', 'new') } }, attr: 'sealed' },
      }),
    );
    // Looking whether it has something is no error, whatever it turns out to be.
    expect(await leftOf('Vault::"new" has note && false')).toBe(false);
    expect(await leftOf('Vault::"new" in Vault::"v" && false')).toBe(false);
    expect(await leftOf('Vault::"new" in Vault::"new"')).toBe(true);
    expect(await leftOf('User::"new".level > 1')).toBe('entity `User::"new"` does not exist');
  });

  test('is blamed where the policy would be', async () => {
    const text = 'permit (principal, action, resource) when { resource.n + 1 > 0 };';
    const set = await engine.load([{ id: 'p', text }], undefined);
    const [residual] = evaluatePartially(set, request, viewOf([])).residuals;
    if (!residual) throw new Error('expected a residual');
    const whole = { ...request, resource: uid('Vault', 'v') } as CedarRequest;
    const asked = (n: CedarEntity['attrs'][string]) => {
      const entities = viewOf([{ uid: whole.resource, attrs: { n }, parents: [] }]);
      const outcome = completeResidual(set, residual, { request: whole, entities });
      const errors = outcome.kind === 'errored' ? [outcome.error] : [];
      expect(errors).toEqual(set.authorize(whole, entities).errors);
      return errors[0]?.span && text.slice(errors[0].span.start, errors[0].span.end);
    };
    expect(asked('x')).toBe('resource.n');
    expect(asked(9223372036854775807n)).toBe('resource.n + 1');
    expect(asked(1)).toBeUndefined();
  });

  test('leaves open what lies above an entity that the unknown may turn out to be', async () => {
    // Alice is in `staff`, which is not there: as the resource it may be, and below another.
    const text = 'permit (principal in Team::"bank", action, resource);';
    const set = await engine.load([{ id: 'p', text }], undefined);
    const before = viewOf([alice]);
    const typedOther = { ...request, resource: { type: 'Vault' } };
    expect(evaluatePartially(set, typedOther, before).falsified).toEqual(['p']);
    const open = evaluatePartially(set, { ...request, resource: {} }, before);
    expect(open.residuals).toMatchObject([{ id: 'p', maySatisfy: true, mayFail: false }]);
    const resource = uid('Team', 'staff');
    const staff = { uid: resource, attrs: {}, parents: [uid('Team', 'bank')] };
    const whole = { ...request, resource } as CedarRequest;
    const answer = completeAnswer(set, open, { request: whole, entities: viewOf([alice, staff]) });
    expect(answer.decision).toBe('allow');
    // Where `staff` is there, all is known.
    const settled = (entities: readonly CedarEntity[]) =>
      evaluatePartially(set, { ...request, resource: {} }, viewOf(entities));
    expect(settled([alice, staff]).satisfied).toEqual(['p']);
    expect(settled([alice, { ...staff, parents: [] }]).falsified).toEqual(['p']);
  });

  test('is as long as the policy at most, however many conditions', async () => {
    const conditions = Array.from({ length: 200 }, () => 'when { resource.sealed }').join(' ');
    const text = `permit (principal, action, resource) ${conditions};`;
    const set = await engine.load([{ id: 'p', text }], undefined);
    const answer = evaluatePartially(set, request, viewOf([]));
    const { condition } = answer.residuals[0] ?? {};
    expect(JSON.stringify(condition).length).toBeLessThan(text.length * 20);
    const whole = { ...request, resource: uid('Vault', 'v') } as CedarRequest;
    const vault = { uid: whole.resource, attrs: { sealed: true }, parents: [] };
    const completed = completeAnswer(set, answer, { request: whole, entities: viewOf([vault]) });
    expect(completed.decision).toBe('allow');
  });

  test('refuses what no completion could be', async () => {
    const set = await engine.load([], SCHEMA);
    const ask = (change: Partial<PartialRequest>) => () =>
      evaluatePartially(set, { ...request, ...change }, viewOf([]));
    const code = 'ERR_CEDAR_REQUEST_INVALID';
    expect(ask({ resource: { type: 'User' } })).toThrow(
      expect.objectContaining({ code, path: 'resource' }),
    );
    expect(ask({ action: uid('Action', 'shut') })).toThrow(
      expect.objectContaining({ code, path: 'action' }),
    );
    expect(ask({ context: {} })).toThrow(/expected the attribute 'mfa'/);
    expect(ask({ context: { mfa: 1 } })).toThrow(
      expect.objectContaining({ code, path: 'context.mfa' }),
    );
    expect(ask({ unknownContext: [{ path: ['mfa'] }] })).toThrow(
      /'mfa' unknown, expected no value/,
    );
    expect(ask({ unknownContext: [{ path: ['other'] }] })).toThrow(/an attribute of the schema/);
    expect(ask({ unknownContext: [{ path: [] }] })).toThrow(/expected a name/);
    const long = Array.from({ length: 20_000 }, () => 'device');
    expect(ask({ unknownContext: [{ path: long }] })).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(/at most 64 names/) }),
    );
    expect(ask({ context: {}, unknownContext: [{ path: ['mfa', 'x'] }] })).toThrow(
      /'mfa' unknown, expected a record/,
    );
    const twice = [{ path: ['device'] }, { path: ['device', 'id'] }];
    expect(ask({ unknownContext: twice })).toThrow(/'device' unknown, expected it once/);
    expect(ask({ context: { mfa: true, __entity: { ...ALICE } } })).toThrow(/found __entity/);
    expect(ask({ context: [] as never })).toThrow(/expected a record/);
  });
});

describe('the decision', () => {
  const request: PartialRequest = {
    principal: uid('User', 'a'),
    action: uid('Action', 'open'),
    resource: {},
    context: {},
  };
  async function decide(texts: readonly string[], strict = false) {
    const policies = texts.map((text, index) => ({ id: `p${index}`, text }));
    const set = await engine.load(policies, undefined);
    return evaluatePartially(set, request, viewOf([]), { strict }).decision;
  }
  const ALL = '(principal, action, resource)';
  const PERMIT = `permit ${ALL};`;
  const OPEN_PERMIT = `permit ${ALL} when { resource.a };`;
  const OPEN_FORBID = `forbid ${ALL} when { resource.a };`;
  const SAFE_FORBID = `forbid ${ALL} when { resource == Doc::"a" };`;
  const FAILING_FORBID = `forbid ${ALL} when { context.a };`;

  test('is certain when every completion has it', async () => {
    expect(await decide([PERMIT])).toBe('allow');
    expect(await decide([PERMIT, OPEN_PERMIT])).toBe('allow');
    expect(await decide([OPEN_FORBID])).toBe('deny');
    expect(await decide([OPEN_PERMIT, `forbid ${ALL};`])).toBe('deny');
    expect(await decide([`permit ${ALL} when { resource.a && false };`])).toBe('deny');
    expect(await decide([PERMIT, `forbid ${ALL} when { resource.a && false };`])).toBe('allow');
  });

  test('is left open when completions may differ', async () => {
    expect(await decide([OPEN_PERMIT])).toBeUndefined();
    expect(await decide([PERMIT, SAFE_FORBID])).toBeUndefined();
  });

  test('counts a forbid that fails when strict', async () => {
    expect(await decide([PERMIT, FAILING_FORBID])).toBe('allow');
    expect(await decide([PERMIT, FAILING_FORBID], true)).toBe('deny');
    expect(await decide([PERMIT, `forbid ${ALL} when { resource.a && false };`], true)).toBe(
      undefined,
    );
  });
});

/** One of the sets, a request with unknowns, and what it turns out to be. */
interface Case {
  readonly set: PolicySet;
  readonly sources: readonly PolicySource[];
  readonly partial: PartialRequest;
  readonly completion: CedarRequest;
  readonly entities: readonly CedarEntity[];
  /** Of what the unknowns turned out to be. */
  readonly own: readonly CedarEntity[];
}

/** Sets of one to four random policies; of a set with more, the answer is always the same. */
function loadSets(schema: string | undefined) {
  const sets: { readonly set: PolicySet; readonly sources: readonly PolicySource[] }[] = [];
  beforeAll(async () => {
    const texts = fc.sample(policyText, { numRuns: SETS * 2.5, seed: SEED });
    for (let from = 0; from < texts.length; ) {
      const size = 1 + (sets.length % 4);
      const sources = texts
        .slice(from, from + size)
        .map((text, index) => ({ id: `p${index}`, text }));
      const set = await engine.load(sources, schema, { validation: 'off' });
      sets.push({ set, sources });
      from += size;
    }
  }, 120_000);
  return sets;
}

function makeCase(
  { set, sources }: { readonly set: PolicySet; readonly sources: readonly PolicySource[] },
  requests: { readonly known: CedarRequest; readonly other: CedarRequest },
  unknown: Mask,
  [entities, others]: readonly [readonly CedarEntity[], readonly CedarEntity[]],
): Case {
  const { partial, completion } = withUnknowns(requests, unknown);
  const isNamed = (of: CedarUid) =>
    (['principal', 'action', 'resource'] as const).some(
      (name) =>
        unknown[name] !== 'known' &&
        completion[name].type === of.type &&
        completion[name].id === of.id,
    );
  const has = (of: CedarUid) =>
    entities.some((each) => each.uid.type === of.type && each.uid.id === of.id);
  const own = others.filter((entity) => isNamed(entity.uid) && !has(entity.uid));
  return { set, sources, partial, completion, entities, own };
}

/** Asserts that what is left of each policy does what the policy does. */
function expectSameOutcomes({ completion, entities, own, partial, set }: Case): void {
  const before = viewOf(entities, set.schema);
  const after = viewOf([...entities, ...own], set.schema);
  const whole = { request: set.parseRequest(completion), entities: after };
  for (const strict of [false, true]) {
    const answer = evaluatePartially(set, partial, before, { strict });
    const expected = set.authorize(completion, after, { strict });
    expect(withoutSpans(completeAnswer(set, answer, whole, { strict }))).toEqual(
      withoutSpans(expected),
    );
    if (answer.decision !== undefined) expect(answer.decision).toBe(expected.decision);
    const misjudged = answer.residuals.filter((residual) => {
      const { kind } = completeResidual(set, residual, whole);
      return (
        (kind === 'satisfied' && !residual.maySatisfy) || (kind === 'errored' && !residual.mayFail)
      );
    });
    expect(misjudged).toEqual([]);
  }
}

/** Of an `if` that fell to one arm, the span of the arm is left. */
function withoutSpans({ errors, ...answer }: ReturnType<PolicySet['authorize']>) {
  return { ...answer, errors: errors.map(({ message, policy }) => ({ message, policy })) };
}

describe('for every completion', { timeout: 120_000 }, () => {
  const untypedSets = loadSets(undefined);
  const typedSets = loadSets(typed.SCHEMA);
  const index = fc.nat({ max: 1_000_000 });

  test('residuals come to what full evaluation comes to, errors included', () => {
    fc.assert(
      fc.property(
        index,
        untyped.world,
        untyped.world,
        untyped.request,
        untyped.request,
        mask,
        (at, world, others, known, other, unknown) => {
          const set = untypedSets[at % untypedSets.length];
          if (!set) throw new Error('expected a set');
          expectSameOutcomes(makeCase(set, { known, other }, unknown, [world, others]));
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
  });

  test('so they do where a schema says what completions may be', () => {
    let cases = 0;
    const requests = typed.action.chain((action) =>
      fc.record({ known: typed.requestOf(action), other: typed.requestOf(action) }),
    );
    fc.assert(
      fc.property(
        index,
        typed.world,
        typed.world,
        requests,
        mask,
        (at, world, others, both, unknown) => {
          const set = typedSets[at % typedSets.length];
          if (!set) throw new Error('expected a set');
          const each = makeCase(set, both, unknown, [world, others]);
          if (!isAdmitted(each)) return;
          cases += 1;
          expectSameOutcomes(each);
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
    // Masks that the schema has no place for are left out; most are not.
    expect(cases).toBeGreaterThan(RUNS / 3);
  });

  test.each(['without a schema', 'with one'])('no operator is misjudged, %s', async (name) => {
    const isTyped = name === 'with one';
    const sources = smallConditions(500).flatMap((condition, at) => [
      { id: `p${at}`, text: `permit (principal, action, resource) when { ${condition} };` },
      // What follows it, and what it is an operand of, tell whether it was taken for safe.
      {
        id: `q${at}`,
        text: `permit (principal, action, resource) when { !((${condition}) == 1 && false) };`,
      },
    ]);
    const set = await engine.load(sources, isTyped ? typed.SCHEMA : undefined, {
      validation: 'off',
    });
    const requests = isTyped
      ? typed.action.chain((action) =>
          fc.record({ known: typed.requestOf(action), other: typed.requestOf(action) }),
        )
      : fc.record({ known: untyped.request, other: untyped.request });
    const world = isTyped ? typed.world : untyped.world;
    fc.assert(
      fc.property(world, world, requests, mask, (one, others, both, unknown) => {
        const each = makeCase({ set, sources }, both, unknown, [one, others]);
        if (isAdmitted(each)) expectSameOutcomes(each);
      }),
      { seed: SEED, numRuns: RUNS / 20 },
    );
  });

  test('nothing is left where nothing is unknown', () => {
    fc.assert(
      fc.property(index, untyped.world, untyped.request, (at, world, request) => {
        const { set } = untypedSets[at % untypedSets.length] ?? {};
        if (!set) throw new Error('expected a set');
        const entities = viewOf(world);
        const answer = evaluatePartially(set, request, entities);
        expect(answer.residuals).toEqual([]);
        const whole = { request, entities };
        expect(completeAnswer(set, answer, whole)).toEqual(set.authorize(request, entities));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

describe('the official engine', { timeout: 120_000 }, () => {
  const sets = loadSets(undefined);
  const runs = { seed: SEED, numRuns: RUNS / 4 };
  const anyCase = fc
    .tuple(
      fc.nat({ max: 1_000_000 }),
      untyped.world,
      untyped.world,
      untyped.request,
      untyped.request,
      mask,
    )
    // Its JavaScript form takes no integer beyond 2^53.
    .filter((parts) => !hasBigint(parts))
    .map(([at, world, others, known, other, unknown]) => ({
      at,
      make: () => {
        const set = sets[at % sets.length];
        if (!set) throw new Error('expected a set');
        return makeCase(set, { known, other }, unknown, [world, others]);
      },
    }));
  const idsOf = (errors: readonly { readonly policy: string }[]) =>
    errors.map(({ policy }) => policy);

  test('evaluates every policy as the interpreter does when nothing is unknown', () => {
    fc.assert(
      fc.property(anyCase, ({ make }) => {
        const { completion, entities, set, sources } = make();
        const { response } = officially(completion, sources, entities);
        const ours = evaluatePartially(set, completion, viewOf(entities));
        const theirs = response.diagnostics.errors
          .map(({ error, policyId }) => ({
            policy: policyId,
            message: withoutBlame(error.message),
          }))
          .sort((one, other) => (one.policy < other.policy ? -1 : 1));
        expect(
          ours.errored.map(({ message, policy }) => ({ policy, message: withoutBlame(message) })),
        ).toEqual(theirs);
        expect(ours.decision).toBe(response.decision);
        const reasons = new Set(response.diagnostics.reason);
        expect([...reasons].filter((id) => !ours.satisfied.includes(id))).toEqual([]);
      }),
      runs,
    );
  });

  test('takes residuals back, and completes them as they are completed here', () => {
    let count = 0;
    fc.assert(
      fc.property(anyCase, ({ make }) => {
        const { completion, entities, own, partial, set } = make();
        const answer = evaluatePartially(set, partial, viewOf(entities));
        const after = [...entities, ...own];
        for (const residual of answer.residuals) {
          const json = residualToCedarJson(residual);
          // A certain error has no name in Cedar.
          if (hasBigint(json) || JSON.stringify(json).includes('{"error":[')) continue;
          count += 1;
          const { response } = officially(completion, [{ id: residual.id, json }], after);
          const whole = { request: completion, entities: viewOf(after) };
          const { kind } = completeResidual(set, residual, whole);
          const isErrored = response.diagnostics.errors.length > 0;
          const isReason = response.diagnostics.reason.length > 0;
          expect(isErrored ? 'errored' : isReason ? 'satisfied' : 'falsified').toBe(kind);
        }
      }),
      runs,
    );
    expect(count).toBeGreaterThan(runs.numRuns / 4);
  });

  test('never contradicts what is certain, nor is contradicted, in its own partial evaluation', () => {
    let certain = 0;
    fc.assert(
      fc.property(anyCase, ({ make }) => {
        const { entities, partial, set, sources } = make();
        const theirs = officiallyPartial(partial, sources, entities);
        if (!theirs) return;
        const ours = evaluatePartially(set, partial, viewOf(entities));
        const isApart = (ids: readonly string[], others: readonly string[]) =>
          expect(ids.filter((id) => others.includes(id))).toEqual([]);
        isApart(theirs.satisfied, [...ours.falsified, ...idsOf(ours.errored)]);
        isApart(theirs.errored, [...ours.falsified, ...ours.satisfied]);
        isApart(ours.satisfied, theirs.errored);
        if (theirs.decision === null || theirs.decision === undefined) return;
        certain += 1;
        expect([theirs.decision, undefined]).toContain(ours.decision);
      }),
      runs,
    );
    expect(certain).toBeGreaterThan(0);
  });
});

function hasBigint(json: unknown): boolean {
  if (typeof json === 'bigint') return true;
  return typeof json === 'object' && json !== null && Object.values(json).some(hasBigint);
}

/** Which of several members of a set is blamed depends on their order, which sets do not have. */
function withoutBlame(message: string): string {
  return message.replace(/(any_entity_type`\), got) .*/, '$1');
}

type OfficialCall = wasm.AuthorizationCall;

function officially(
  request: CedarRequest,
  sources: readonly { readonly id: string; readonly text?: string; readonly json?: unknown }[],
  entities: readonly CedarEntity[],
) {
  const answer = wasm.isAuthorized({
    ...request,
    policies: {
      staticPolicies: Object.fromEntries(sources.map((each) => [each.id, each.text ?? each.json])),
    },
    entities,
  } as unknown as OfficialCall);
  if (answer.type === 'success') return answer;
  throw new Error(JSON.stringify(answer.errors));
}

/** @returns nothing for unknowns that it has no word for: it knows no attribute of unknown presence */
function officiallyPartial(
  { action, context, principal, resource, unknownContext = [] }: PartialRequest,
  sources: readonly PolicySource[],
  entities: readonly CedarEntity[],
) {
  if (unknownContext === 'rest') return undefined;
  if (unknownContext.some(({ isPresent, path }) => !isPresent || path.length > 1)) return undefined;
  const unknown = unknownContext.map(({ path: [name = ''] }) => [
    name,
    { __extn: { fn: 'unknown', arg: name } },
  ]);
  const known = (entity: PartialRequest['principal']) => (entity.id === undefined ? null : entity);
  const answer = wasm.isAuthorizedPartial({
    principal: known(principal),
    action: known(action),
    resource: known(resource),
    context: { ...context, ...Object.fromEntries(unknown) },
    policies: { staticPolicies: Object.fromEntries(sources.map(({ id, text }) => [id, text])) },
    entities,
  } as unknown as wasm.PartialAuthorizationCall);
  if (answer.type === 'residuals') return answer.response;
  throw new Error(JSON.stringify(answer.errors));
}

/** Whether a schema admits the unknowns and what they turn out to be. */
function isAdmitted({ completion, partial, set }: Case): boolean {
  try {
    set.parseRequest(completion);
    evaluatePartially(set, partial, viewOf([]));
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_CEDAR_REQUEST_INVALID') return false;
    throw error;
  }
}
