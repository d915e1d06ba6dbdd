import {
  type CedarEntity,
  type CedarRequest,
  type CedarUid,
  createCedarEngine,
  createJsonParser,
  type EntityView,
  type ExplainOptions,
  entitiesFrom,
  explain,
  type LoadOptions,
  type PolicySet,
  type RaisableAttribute,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policyText } from './partial/arbitrary-policies.ts';
import * as worlds from './partial/arbitrary-worlds.ts';

/** Printed with every failure; another one takes other policies and worlds. */
const SEED = Number(process.env['CEDAR_EXPLAIN_SEED'] ?? 20_261_126);
const RUNS = Number(process.env['CEDAR_EXPLAIN_RUNS'] ?? 500);

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const uid = (type: string, id: string): CedarUid => ({ type, id });
const entityJson = (type: string, id: string) => ({ __entity: { type, id } });

const SCHEMA = `
  entity Team;
  entity User in [Team] { level: Long } tags String;
  entity Robot;
  entity Account { owner: User, limit: Long, sealed?: Bool };
  action read, pay appliesTo {
    principal: [User, Robot], resource: Account,
    context: {
      acr?: String, authTime?: datetime, now?: datetime, amr?: Set<String>, risk?: Long,
      approved?: Bool, purpose?: String, score?: decimal, device?: { compliant?: Bool, id: String }
    }
  };
`;

const ALICE = uid('User', 'alice');
const REQUEST: CedarRequest = {
  principal: ALICE,
  action: uid('Action', 'pay'),
  resource: uid('Account', 'a1'),
  context: {},
};
const ENTITIES: readonly CedarEntity[] = [
  { uid: ALICE, attrs: { level: 2 }, parents: [uid('Team', 'staff')], tags: { desk: 'west' } },
  {
    uid: REQUEST.resource,
    attrs: { owner: entityJson('User', 'alice'), limit: 100 },
    parents: [],
  },
];

function viewOf(entities: readonly CedarEntity[], schema?: PolicySet['schema']): EntityView {
  const byName = new Map(entities.map((entity) => [JSON.stringify(entity.uid), entity]));
  return entitiesFrom(
    { get: ({ type, id }) => byName.get(JSON.stringify({ type, id })) },
    createJsonParser(schema).parseEntity,
  );
}

interface Asked extends ExplainOptions {
  readonly context?: CedarRequest['context'];
  readonly load?: LoadOptions;
  readonly entities?: readonly CedarEntity[];
}

/** Loads policies `p0`, `p1` … and explains Alice's payment. */
async function explained(
  texts: readonly string[],
  { context = {}, entities = ENTITIES, load = {}, ...options }: Asked = {},
) {
  const policies = texts.map((text, index) => ({ id: `p${index}`, text }));
  const set = await engine.load(policies, SCHEMA, load);
  return explain(set, { ...REQUEST, context }, viewOf(entities, set.schema), options);
}

const when = (condition: string) => `permit (principal, action, resource) when { ${condition} };`;
const unless = (condition: string) =>
  `permit (principal, action, resource) unless { ${condition} };`;

describe('a policy', () => {
  test('is taken apart into its scope and what its conditions join', async () => {
    const text = `permit (principal is User in Team::"staff", action == Action::"pay", resource)
      when { principal.level > 1 && context has risk && context.risk < 5 }
      unless { resource.limit < 10 || resource has sealed };`;
    const { decision, policies } = await explained([text], { context: { risk: 7 } });
    expect(decision).toBe('deny');
    expect(policies).toHaveLength(1);
    expect(policies[0]).toMatchObject({ id: 'p0', effect: 'permit', outcome: 'falsified' });
    const clauses = policies[0]?.clauses ?? [];
    expect(clauses.map(({ part, status, text: own }) => [part, status, own])).toEqual([
      ['principal', 'held', 'principal is User in Team::"staff"'],
      ['action', 'held', 'action == Action::"pay"'],
      ['resource', 'held', 'resource'],
      ['when', 'held', 'principal.level > 1'],
      ['when', 'held', 'context has risk'],
      ['when', 'failed', 'context.risk < 5'],
      ['unless', 'notReached', 'resource.limit < 10'],
      ['unless', 'notReached', 'resource has sealed'],
    ]);
    for (const { span, text: own } of clauses) expect(text.slice(span.start, span.end)).toBe(own);
  });

  test('is told with the values that its clauses read', async () => {
    const text = when(
      'resource.owner.level > 5 || context has acr || principal.getTag("desk") == "east"',
    );
    const { policies } = await explained([text], { load: { validation: 'off' } });
    const clause = policies[0]?.clauses.at(-1);
    expect(clause?.status).toBe('failed');
    expect(clause?.reads.map(({ span, ...read }) => read)).toEqual([
      { kind: 'value', text: 'resource.owner', value: entityJson('User', 'alice') },
      { kind: 'value', text: 'resource.owner.level', value: 2 },
      { kind: 'value', text: 'context has acr', value: false },
      { kind: 'value', text: 'principal', value: entityJson('User', 'alice') },
      { kind: 'value', text: 'principal.getTag("desk")', value: 'west' },
    ]);
  });

  test('that failed to evaluate says why, and what was missing', async () => {
    const { errors, policies } = await explained([when('true && context.risk > 1 && false')], {
      load: { validation: 'off' },
    });
    expect(policies[0]?.outcome).toBe('errored');
    const statuses = policies[0]?.clauses.slice(3).map(({ status }) => status);
    expect(statuses).toEqual(['held', 'errored', 'notReached']);
    const clause = policies[0]?.clauses[4];
    expect(clause?.message).toBe('record does not have the attribute `risk`');
    expect(clause?.reads).toEqual([
      { kind: 'missing', text: 'context.risk', span: expect.anything() },
    ]);
    expect(errors).toMatchObject([{ policy: 'p0', message: clause?.message }]);
  });

  test('of an `unless` that does not hold says what held instead', async () => {
    const { policies } = await explained([unless('context has acr && resource.limit == 100')], {
      context: { acr: 'aal1' },
    });
    const clause = policies[0]?.clauses.at(-1);
    expect(clause).toMatchObject({
      part: 'unless',
      status: 'failed',
      text: 'context has acr && resource.limit == 100',
    });
    expect(clause?.reads).toMatchObject([
      { text: 'context has acr', value: true },
      { text: 'resource.limit', value: 100 },
    ]);
  });

  test('that is a link is told in the words of its template, and what stands for the slot', async () => {
    const { policies } = await explained([], {
      load: {
        templates: [{ id: 't', text: 'permit (principal in ?principal, action, resource);' }],
        links: [{ id: 'l', template: 't', values: { '?principal': uid('Team', 'staff') } }],
      },
    });
    expect(policies[0]).toMatchObject({ id: 'l', outcome: 'satisfied' });
    expect(policies[0]?.clauses[0]).toMatchObject({
      text: 'principal in ?principal',
      slot: uid('Team', 'staff'),
      status: 'held',
    });
  });

  test('for another action or type is left out, and told of when asked', async () => {
    const texts = [
      'permit (principal is Robot, action, resource);',
      'permit (principal, action == Action::"read", resource);',
      'permit (principal, action, resource == Account::"other");',
      'forbid (principal == Robot::"r2", action, resource);',
    ];
    const { policies, ruledOut } = await explained(texts, { includeRuledOut: true });
    expect(policies.map(({ id }) => id)).toEqual(['p2']);
    expect(policies[0]?.clauses[2]?.status).toBe('failed');
    expect(ruledOut).toMatchObject([
      { id: 'p0', part: 'principal', text: 'principal is Robot' },
      { id: 'p1', part: 'action', text: 'action == Action::"read"' },
      { id: 'p3', effect: 'forbid', part: 'principal', text: 'principal == Robot::"r2"' },
    ]);
    expect((await explained(texts)).ruledOut).toBeUndefined();
  });

  test('shows values as far as the bounds go', async () => {
    const words = Array.from({ length: 25 }, (_, index) => `w${index}`);
    const { policies } = await explained([when('context.amr.contains("x") || context.acr == ""')], {
      context: { amr: words, acr: 'y'.repeat(1500) },
      load: { validation: 'off' },
    });
    const [amr, acr] = policies[0]?.clauses.at(-1)?.reads ?? [];
    expect(amr).toMatchObject({ value: [...words.slice(0, 20), { __more: 5 }] });
    expect(acr).toMatchObject({ value: ['y'.repeat(1000), { __more: 500 }] });
    expect(JSON.parse(JSON.stringify(policies))).toEqual(policies);
  });

  test('shows an integer that no JSON number holds as text', async () => {
    const { policies } = await explained([when('context has risk && context.risk < 0')], {
      context: { risk: 9223372036854775807n },
    });
    expect(policies[0]?.clauses.at(-1)?.reads).toMatchObject([
      { text: 'context.risk', value: { __long: '9223372036854775807' } },
    ]);
    expect(() => JSON.stringify(policies)).not.toThrow();
  });
});

test('a request that the schema does not admit is denied, with nothing to explain', async () => {
  const explanation = await explained([when('true')], { context: { other: 1 } });
  expect(explanation.decision).toBe('deny');
  expect(explanation.policies).toEqual([]);
  expect(explanation.errors).toMatchObject([{ policy: '' }]);
});

describe('a denial', () => {
  const raised = async (
    texts: readonly string[],
    raise: readonly RaisableAttribute[],
    options: Asked = {},
  ) => (await explained(texts, { ...options, raise })).raise;
  const ACR: RaisableAttribute = { attribute: 'acr', values: ['aal1', 'aal2', 'aal3'] };
  const found = (...changes: (readonly [string, unknown])[]) => ({
    kind: 'found',
    changes: changes.map(([path, to]) => ({ attribute: path.split('.'), to })),
  });

  test('would be turned by the lowest value that is enough', async () => {
    const atLeast2 = when('context has acr && ["aal2", "aal3"].contains(context.acr)');
    expect(await raised([atLeast2], [ACR])).toMatchObject(found(['acr', 'aal2']));
    const only3 = when('context has acr && context.acr == "aal3"');
    expect(await raised([only3], [ACR], { context: { acr: 'aal2' } })).toMatchObject(
      found(['acr', 'aal3']),
    );
  });

  test('is never answered with a value below what it is now', async () => {
    const only1 = when('context has acr && context.acr == "aal1"');
    expect(await raised([only1], [ACR], { context: { acr: 'aal2' } })).toMatchObject({
      kind: 'notFound',
    });
  });

  test('would be turned by the fewest attributes, whichever they are', async () => {
    const either = [
      when('context has acr && context.acr == "aal2" && context has approved && context.approved'),
      when('context has purpose && context.purpose == "fraud"'),
    ];
    const raise = [ACR, { attribute: 'approved' }, { attribute: 'purpose' }];
    expect(await raised(either, raise)).toMatchObject(found(['purpose', 'fraud']));
    expect(await raised(either, raise.slice(0, 2))).toMatchObject(
      found(['acr', 'aal2'], ['approved', true]),
    );
  });

  test('takes the lowest of several sets of as many attributes', async () => {
    const texts = [
      when('context has acr && context.acr == "aal3"'),
      when('context has approved && context.approved'),
    ];
    const approved = { attribute: 'approved', values: [true] };
    // `aal3` is the third step, an approval the first.
    expect(await raised(texts, [ACR, approved])).toMatchObject(found(['approved', true]));
  });

  test('is turned by lifting a forbid, too', async () => {
    const texts = [
      when('true'),
      `forbid (principal, action, resource) unless { context has device && context.device has compliant && context.device.compliant };`,
      `forbid (principal, action, resource) when { context has risk && context.risk > 80 };`,
    ];
    const context = { device: { id: 'd' }, risk: 90 };
    const raise: readonly RaisableAttribute[] = [
      { attribute: ['device', 'compliant'] },
      { attribute: 'risk', order: 'descending' },
    ];
    expect(await raised(texts, raise, { context })).toMatchObject(
      found(['device.compliant', true], ['risk', 80]),
    );
  });

  test('is turned by a login that is recent enough, to the millisecond', async () => {
    const fresh = when(
      'context has now && context has authTime && context.now.durationSince(context.authTime) < duration("5m")',
    );
    const context = { now: '2026-01-01T12:00:00Z', authTime: '2026-01-01T09:00:00Z' };
    expect(await raised([fresh], [{ attribute: 'authTime' }], { context })).toMatchObject(
      found(['authTime', { __extn: { fn: 'datetime', arg: '2026-01-01T11:55:00.001Z' } }]),
    );
  });

  test('is turned by a value worked out from what policies compare it with', async () => {
    const one = async (condition: string, attribute: string, context = {}) =>
      raised([when(condition)], [{ attribute }], { context, load: { validation: 'off' } });
    expect(await one('context.risk * 1 == 3 || context.risk + 4 >= 10', 'risk')).toMatchObject(
      found(['risk', 6]),
    );
    expect(await one('10 - context.risk < 3', 'risk', { risk: 1 })).toMatchObject(
      found(['risk', 8]),
    );
    expect(await one('context.score.greaterThan(decimal("0.5"))', 'score')).toMatchObject(
      found(['score', { __extn: { fn: 'decimal', arg: '0.5001' } }]),
    );
    expect(await one('context.amr.contains("mfa")', 'amr', { amr: ['pwd'] })).toMatchObject(
      found(['amr', ['pwd', 'mfa']]),
    );
    expect(await one('context.amr.containsAll(["a", "b"])', 'amr', { amr: ['pwd'] })).toMatchObject(
      found(['amr', ['pwd', 'a', 'b']]),
    );
    expect(await one('context.acr like "loa*"', 'acr')).toMatchObject(found(['acr', 'loa']));
    expect(await one('context.approved', 'approved')).toMatchObject(found(['approved', true]));
    expect(await one('context.risk == resource.limit', 'risk')).toMatchObject(found(['risk', 100]));
  });

  test('that nothing could turn is told as such', async () => {
    const text = when('context has acr && context.acr == "aal2" && resource.limit > 500');
    expect(await raised([text], [ACR])).toEqual({ kind: 'impossible', tried: 0 });
    expect(await raised([], [ACR])).toEqual({ kind: 'impossible', tried: 0 });
    // Values that were not given may do: it is not impossible, only not found.
    const other = when('context has acr && context.acr == "aal4"');
    expect(await raised([other], [ACR])).toEqual({ kind: 'notFound', tried: 3 });
  });

  test('is strict where deciding is', async () => {
    const texts = [
      when('context has approved && context.approved'),
      `forbid (principal, action, resource) when { context.risk > 80 };`,
    ];
    const raise = [{ attribute: 'approved' }, { attribute: 'risk', values: [90, 10] }];
    const load = { validation: 'off' } as const;
    expect(await raised(texts, raise, { load })).toMatchObject(found(['approved', true]));
    expect(await raised(texts, raise, { load, strict: true })).toMatchObject(
      found(['approved', true], ['risk', 10]),
    );
  });

  test('is looked into within bounds, and says when they were reached', async () => {
    const many = Array.from({ length: 20 }, (_, index) => `v${index}`);
    const text = when('context has acr && context.acr == "v19"');
    expect(await raised([text], [{ attribute: 'acr', values: many }])).toEqual({
      kind: 'gaveUp',
      tried: 16,
      bound: 'values',
    });
    const names = ['acr', 'purpose', 'x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'x7'];
    const set = await engine.load([{ id: 'p', text: when('context.zz') }], undefined);
    const nine = names.map((attribute) => ({ attribute, values: ['a'] }));
    expect(() => explain(set, REQUEST, viewOf(ENTITIES), { raise: nine })).toThrow(
      expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID', path: 'raise' }),
    );
    const long = { attribute: Array.from({ length: 20_000 }, () => 'x1'), values: ['a'] };
    expect(() => explain(set, REQUEST, viewOf(ENTITIES), { raise: [long] })).toThrow(
      expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID', path: 'raise' }),
    );
    const four = names.slice(0, 4).map((attribute) => ({ attribute, values: many.slice(0, 16) }));
    const wide = when('[context.acr, context.purpose, context.x1, context.x2] == context.zz');
    const wideSet = await engine.load([{ id: 'p', text: wide }], undefined);
    const context = { zz: ['a', 'b', 'c'] };
    expect(
      explain(wideSet, { ...REQUEST, context }, viewOf(ENTITIES), { raise: four }).raise,
    ).toEqual({ kind: 'gaveUp', tried: 10_000, bound: 'combinations' });
  });

  test('is not called impossible where an attribute helps only alone', async () => {
    const texts = [when('context has acr && context.acr == "a" && !(context has purpose)')];
    const raise = [{ attribute: 'acr' }, { attribute: 'purpose', values: ['x'] }];
    expect(await raised(texts, raise)).toMatchObject(found(['acr', 'a']));
    const outer = [when('context has acr && context.acr == "a" && !(context has device)')];
    const inner = [
      { attribute: 'acr' },
      { attribute: ['device', 'id'], values: ['d'] },
      { attribute: ['device', 'compliant'] },
    ];
    expect(await raised(outer, inner)).toMatchObject(found(['acr', 'a']));
    // Neither alone nor together.
    const never = [when('context has acr && !(context has acr) || context has purpose && false')];
    expect(await raised(never, raise)).toEqual({ kind: 'impossible', tried: 0 });
  });

  test('ends where one of many attributes has no value to try', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'none'];
    const text = when(names.map((name) => `context.${name} == 99`).join(' && '));
    const set = await engine.load([{ id: 'p', text }], undefined);
    const context = Object.fromEntries(names.map((name) => [name, -1]));
    const values = Array.from({ length: 16 }, (_, index) => index);
    const raise = names.map((attribute) => ({
      attribute,
      values: attribute === 'none' ? [] : values,
    }));
    const { raise: finding } = explain(set, { ...REQUEST, context }, viewOf([]), { raise });
    expect(finding).toEqual({ kind: 'notFound', tried: 0 });
  });

  test('refuses to raise what the schema does not know', async () => {
    const code = 'ERR_CEDAR_REQUEST_INVALID';
    await expect(raised([when('false')], [{ attribute: 'nope' }])).rejects.toMatchObject({ code });
    await expect(
      raised([when('false')], [{ attribute: ['risk', 'x'] }], { context: { risk: 1 } }),
    ).rejects.toMatchObject({ code });
    await expect(
      raised([when('false')], [{ attribute: 'acr' }, { attribute: 'acr' }]),
    ).rejects.toThrow(/expected it once/);
    await expect(
      raised([when('context has acr && context.acr == "a"')], [{ attribute: 'acr', values: [1] }]),
    ).rejects.toMatchObject({ code });
  });
});

describe('for random policies and requests', { timeout: 120_000 }, () => {
  const sets: PolicySet[] = [];
  beforeAll(async () => {
    const texts = fc.sample(policyText, { numRuns: 200, seed: SEED });
    for (let from = 0; from < texts.length; from += 3) {
      const policies = texts.slice(from, from + 3).map((text, at) => ({ id: `p${at}`, text }));
      sets.push(await engine.load(policies, undefined));
    }
  }, 60_000);
  const anySet = fc.nat({ max: 1_000_000 }).map((at) => sets[at % sets.length] as PolicySet);

  test('the answer is the one that deciding gives, and the clauses bear it out', () => {
    fc.assert(
      fc.property(
        anySet,
        worlds.world,
        worlds.request,
        fc.boolean(),
        (set, world, request, strict) => {
          const entities = viewOf(world);
          const explanation = explain(set, request, entities, { strict, includeRuledOut: true });
          const { policies, ruledOut = [], ...answer } = explanation;
          expect(answer).toEqual(set.authorize(request, entities, { strict }));
          expect([...policies, ...ruledOut].map(({ id }) => id).sort()).toEqual(set.ids);
          const errored = policies.filter(({ outcome }) => outcome === 'errored');
          expect(errored.map(({ id }) => id)).toEqual(answer.errors.map(({ policy }) => policy));
          const satisfied = policies.filter(({ outcome }) => outcome === 'satisfied');
          for (const id of answer.reasons) expect(satisfied.map((each) => each.id)).toContain(id);
          for (const { clauses, outcome } of policies) {
            const statuses = clauses.map(({ status }) => status);
            const held = statuses.filter((status) => status === 'held').length;
            expect(statuses[held]).toBe(
              { satisfied: undefined, falsified: 'failed', errored: 'errored' }[outcome],
            );
            expect(statuses.slice(held + 1).every((status) => status === 'notReached')).toBe(true);
          }
          expect(() => JSON.stringify(policies)).not.toThrow();
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
  });

  test('what would turn a denial turns it, and nothing less does', async () => {
    const texts = fc.sample(raisablePolicy, { numRuns: 150, seed: SEED });
    const raisableSets: PolicySet[] = [];
    for (let from = 0; from < texts.length; from += 3) {
      const policies = texts.slice(from, from + 3).map((text, at) => ({ id: `p${at}`, text }));
      raisableSets.push(await engine.load(policies, undefined));
    }
    const raisableSet = fc
      .nat({ max: 1_000_000 })
      .map((at) => raisableSets[at % raisableSets.length] as PolicySet);
    let foundCount = 0;
    const names = ['b', 'n', 's', 'set', 'e'] as const;
    const values = {
      b: [false, true],
      n: [0, 1, 2],
      s: ['', 'x', 'xyz'],
      set: [[], ['x'], ['x', 'y']],
      e: [entityJson('User', 'a'), entityJson('Doc', 'b')],
    };
    fc.assert(
      fc.property(
        raisableSet,
        worlds.world,
        worlds.request,
        fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }),
        (set, world, request, raised) => {
          const entities = viewOf(world);
          const raise = raised.map((attribute) => ({ attribute, values: values[attribute] }));
          const { decision, raise: finding } = explain(set, request, entities, { raise });
          if (decision === 'allow') {
            expect(finding).toBeUndefined();
            return;
          }
          const ask = (changes: readonly (readonly [string, unknown])[]) =>
            set.authorize(
              {
                ...request,
                context: { ...request.context, ...Object.fromEntries(changes) } as never,
              },
              entities,
            ).decision;
          const above = raise.map(({ attribute, values: all }) => {
            const now = spell(request.context[attribute]);
            const rest = all.slice(all.findIndex((each) => spell(each) === now) + 1);
            return rest.map((to) => [attribute, to] as const);
          });
          const least = leastOf(above, ask);
          if (finding?.kind === 'found') {
            foundCount += 1;
            expect(ask(finding.changes.map(({ attribute, to }) => [attribute[0] ?? '', to]))).toBe(
              'allow',
            );
            const heights = finding.changes.map(({ attribute, to }) => {
              const places = above.find(([first]) => first?.[0] === attribute[0]) ?? [];
              return places.findIndex(([, each]) => spell(each) === spell(to));
            });
            expect([heights.length, heights.reduce((sum, each) => sum + each, 0)]).toEqual(least);
          } else {
            expect(['impossible', 'notFound']).toContain(finding?.kind);
            expect(least).toBeUndefined();
          }
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
    expect(foundCount).toBeGreaterThan(RUNS / 50);
  });
});

/** Policies that mostly depend on attributes that can be raised. */
const raisablePolicy = fc
  .tuple(
    fc.constantFrom('permit', 'permit', 'forbid'),
    fc.array(
      fc.tuple(
        fc.constantFrom('&&', '||', '&& !'),
        fc.constantFrom(
          'context.b',
          '(context has b && context.b)',
          'context.n > 1',
          '(context has n && context.n == resource.n)',
          'context.s == "x"',
          '(context has s && context.s like "*z")',
          'context.set.contains("x")',
          '(context has set && context.set.containsAll(["x", "y"]))',
          '(context has e && context.e == User::"a")',
          'principal.b',
          'resource has n',
        ),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  )
  .map(([effect, parts]) => {
    const condition = parts.map(([operator, part]) => `${operator} ${part}`).join(' ');
    return `${effect} (principal, action, resource) when { true ${condition} };`;
  });

function spell(json: unknown): string {
  return JSON.stringify(json, (_, each) => (typeof each === 'bigint' ? `${each}n` : each));
}

/** By brute force: how many attributes must change at least, and by how many steps. */
function leastOf(
  above: readonly (readonly (readonly [string, unknown])[])[],
  ask: (changes: readonly (readonly [string, unknown])[]) => string,
): readonly [size: number, height: number] | undefined {
  let least: readonly [size: number, height: number] | undefined;
  const visit = (
    index: number,
    changes: readonly (readonly [string, unknown])[],
    height: number,
  ): void => {
    const choices = above[index];
    if (choices === undefined) {
      const [size, steps] = least ?? [Infinity, Infinity];
      const isLess = changes.length < size || (changes.length === size && height < steps);
      if (isLess && ask(changes) === 'allow') least = [changes.length, height];
      return;
    }
    visit(index + 1, changes, height);
    for (const [step, change] of choices.entries()) {
      visit(index + 1, [...changes, change], height + step);
    }
  };
  visit(0, [], 0);
  return least;
}
