import {
  type CedarAnswer,
  type CedarEntity,
  type CedarJson,
  type CedarRequest,
  type EntitySource,
  EntityUid,
  entitiesFrom,
  type PolicySet,
} from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { entities, newEngine, OWNER_PERMIT, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

/** Decides with entities that are looked up as policies ask for them. */
const decide = (set: PolicySet, asked: CedarRequest, source: EntitySource): CedarAnswer =>
  set.authorize(asked, entitiesFrom(source, set.parseEntity));

const team = (id: string, ...parents: string[]): CedarEntity => ({
  uid: { type: 'Team', id },
  attrs: {},
  parents: parents.map((parent) => ({ type: 'Team', id: parent })),
});
const user = (id: string, attrs: CedarEntity['attrs'] = {}, ...teams: string[]): CedarEntity => ({
  uid: { type: 'User', id },
  attrs,
  parents: teams.map((each) => ({ type: 'Team', id: each })),
});
const ref = (type: string, id: string): CedarJson => ({ __entity: { type, id } });

test('permits what a policy permits and nothing else', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  expect(decide(set, request(), entities())).toEqual({
    decision: 'allow',
    reasons: ['owner'],
    errors: [],
    erroredForbids: [],
  });
  const mallory = request({ principal: { type: 'User', id: 'mallory' } });
  expect(decide(set, mallory, entities())).toMatchObject({ decision: 'deny', reasons: [] });
});

test('a forbid wins and is the reason', async () => {
  const set = await engine.load(
    [
      OWNER_PERMIT,
      { id: 'b', text: 'forbid (principal, action, resource);' },
      { id: 'a', text: 'forbid (principal, action, resource) when { context has risk };' },
    ],
    SCHEMA,
  );
  expect(decide(set, request(), entities())).toMatchObject({ decision: 'deny', reasons: ['b'] });
  expect(decide(set, request({ context: { risk: 1 } }), entities()).reasons).toEqual(['a', 'b']);
});

test('lists a forbid that errors, which Cedar would let pass', async () => {
  const set = await engine.load(
    [
      { id: 'all', text: 'permit (principal, action, resource);' },
      {
        id: 'stop',
        text: 'forbid (principal, action, resource) when { context has risk && context.risk + 9007199254740991 * 1000 * 1000 > 0 };',
      },
      {
        id: 'also',
        text: 'permit (principal, action, resource) when { context has risk && context.risk + 9007199254740991 * 1000 * 1000 > 0 };',
      },
    ],
    SCHEMA,
  );
  const answer = decide(set, request({ context: { risk: 1 } }), entities());
  expect(answer.decision).toBe('allow');
  expect(answer.erroredForbids).toEqual(['stop']);
  expect(answer.errors.map((error) => error.policy)).toEqual(['also', 'stop']);
  expect(decide(set, request(), entities())).toMatchObject({ errors: [], erroredForbids: [] });
});

test('the slice holds ancestors of ancestors, and what attributes and context name', async () => {
  const set = await engine.load(
    [
      { id: 'in', text: 'permit (principal in Team::"top", action, resource);' },
      {
        id: 'boss',
        text: 'permit (principal, action, resource) when { principal has boss && principal.boss in Team::"bosses" };',
      },
      {
        id: 'friend',
        text: 'permit (principal, action, resource) when { context has friend && context.friend.boss.age == 60 };'.replace(
          'context.friend.boss.age',
          'context.friend has boss && context.friend.boss has age && context.friend.boss.age',
        ),
      },
      {
        id: 'teams',
        text: 'permit (principal, action, resource) when { principal has teams && principal.teams.contains(Team::"x") };',
      },
      {
        id: 'home',
        text: 'permit (principal, action, resource) when { principal has home && principal.home.near in Team::"city" };',
      },
    ],
    SCHEMA,
  );
  const reasons = (context: Record<string, CedarJson>, ...world: CedarEntity[]) =>
    decide(set, request({ context }), entities(...world)).reasons;
  expect(reasons({}, user('alice', {}, 'low'), team('low', 'mid'), team('mid', 'top'))).toEqual([
    'in',
  ]);
  expect(
    reasons({}, user('alice', { boss: ref('User', 'bob') }), user('bob', {}, 'bosses')),
  ).toEqual(['boss']);
  expect(
    reasons(
      { friend: ref('User', 'carol') },
      user('carol', { boss: ref('User', 'dan') }),
      user('dan', { age: 60 }),
    ),
  ).toEqual(['friend']);
  expect(reasons({}, user('alice', { teams: [ref('Team', 'x')] }))).toEqual(['teams']);
  expect(
    reasons({}, user('alice', { home: { near: ref('Team', 'lane') } }), team('lane', 'city')),
  ).toEqual(['home']);
});

test('entities are looked up only where a policy looks into them', async () => {
  const alice = user('alice', { boss: ref('User', 'bob'), teams: [ref('Team', 'x')] }, 'low');
  const world = () =>
    entities(
      alice,
      user('bob', { age: 60 }, 'bosses'),
      user('root', { age: 4 }),
      team('low', 'top'),
    );
  const asked = async (condition: string) => {
    const text = `permit (principal, action, resource) when { ${condition} };`;
    const set = await engine.load([{ id: 'p', text }], SCHEMA);
    const found = world();
    expect(decide(set, request(), found).decision).toBe('allow');
    return found.asked;
  };
  for (const condition of [
    'principal has boss && principal.boss == User::"bob"',
    'principal has teams && principal.teams.contains(Team::"x")',
    'principal has boss && [principal.boss, principal].contains(principal)',
    'principal != User::"root"',
  ]) {
    expect([condition, (await asked(condition)).filter((name) => /bob|root/.test(name))]).toEqual([
      condition,
      [],
    ]);
  }
  for (const condition of [
    'principal has boss && principal.boss has age && principal.boss.age == 60',
    'principal has boss && principal.boss in Team::"bosses"',
    'principal has boss && {a: principal.boss}.a in Team::"bosses"',
    'principal has boss && !(principal.boss.hasTag("none"))',
  ]) {
    expect([condition, await asked(condition)]).toEqual([
      condition,
      expect.arrayContaining(['User::bob']),
    ]);
  }
  expect(await asked('User::"root" has age && User::"root".age == 4')).toContain('User::root');
});

test('tags are seen', async () => {
  const set = await engine.load(
    [
      {
        id: 'tag',
        text: 'permit (principal, action, resource) when { principal.hasTag("n") && principal.getTag("n") == 7 };',
      },
    ],
    SCHEMA,
  );
  expect(decide(set, request(), entities({ ...user('alice'), tags: { n: 7 } })).reasons).toEqual([
    'tag',
  ]);
  expect(
    decide(set, request(), entities({ ...user('alice'), tags: { n: 7.5 } })).errors,
  ).toMatchObject([{ policy: '' }]);
});

test.each([
  ['an action that the schema lacks', request({ action: { type: 'Action', id: 'shut' } }), /shut/],
  [
    'a principal type that the schema lacks',
    request({ principal: { type: 'Ghost', id: 'x' } }),
    /Ghost/,
  ],
  [
    'a principal type that the action is not for',
    request({ principal: { type: 'Team', id: 'x' } }),
    /Team/,
  ],
  ['a context attribute that the schema lacks', request({ context: { nope: 1 } }), /nope|context/],
  ['a context attribute of another type', request({ context: { risk: 'high' } }), /risk/],
  ['an unsafe integer', request({ context: { risk: 2 ** 53 } }), /9007199254740992.*context\.risk/],
  ['a fraction', request({ context: { risk: 1.5 } }), /1\.5.*context\.risk/],
  ['NaN', request({ context: { risk: Number.NaN } }), /NaN.*context\.risk/],
  [
    'a bigint beyond i64',
    request({ context: { risk: 2n ** 63n } }),
    /9223372036854775808.*context\.risk/,
  ],
  ['null', request({ context: { risk: null as never } }), /null.*context\.risk/],
  ['a Date', request({ context: { at: new Date(0) as never } }), /class.*context\.at/],
  [
    'an unknown',
    request({ context: { risk: { __extn: { fn: 'unknown', arg: 'q' } } } }),
    /context\.risk/,
  ],
  ['an expression', request({ context: { risk: { __expr: '1+1' } } }), /context\.risk/],
  ['half a surrogate pair', request({ resource: { type: 'Vault', id: '\ud800' } }), /surrogate/],
  ['half a surrogate pair in a value', request({ context: { words: ['\udc00'] } }), /surrogate/],
  [
    'an ill-formed address',
    request({ context: { ip: { __extn: { fn: 'ip', arg: '1.2.3' } } } }),
    /ip/,
  ],
])('denies %s with an error and no policy', async (_what, question, message) => {
  const set = await engine.load(
    [{ id: 'all', text: 'permit (principal, action, resource);' }],
    SCHEMA,
  );
  const answer = decide(set, question, entities());
  expect(answer).toMatchObject({ decision: 'deny', reasons: [], erroredForbids: [] });
  expect(answer.errors).toHaveLength(1);
  expect(answer.errors[0]?.policy).toBe('');
  expect(answer.errors[0]?.message).toMatch(message);
  expect(decide(set, request(), entities()).decision).toBe('allow');
});

test('takes the safe integers at both ends', async () => {
  const set = await engine.load(
    [{ id: 'all', text: 'permit (principal, action, resource);' }],
    SCHEMA,
  );
  for (const risk of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    expect(decide(set, request({ context: { risk } }), entities()).decision).toBe('allow');
  }
});

test('an entity that does not fit the schema denies when a policy looks at it', async () => {
  const set = await engine.load(
    [
      OWNER_PERMIT,
      { id: 'old', text: 'permit (principal, action, resource) when { principal has age };' },
      { id: 'in', text: 'permit (principal in Team::"z", action, resource);' },
    ],
    SCHEMA,
  );
  expect(decide(set, request(), entities()).decision).toBe('allow');
  for (const attrs of [{ agee: 1 }, { age: 'x' }, { age: 2 ** 60 }] as const) {
    expect(decide(set, request(), entities(user('alice', attrs as never)))).toMatchObject({
      decision: 'deny',
      errors: [{ policy: '' }],
    });
  }
  const ownerless = { uid: { type: 'Vault', id: 'v1' }, attrs: {}, parents: [] };
  expect(decide(set, request(), entities(ownerless)).errors[0]?.message).toMatch(/owner/);
});

test('a cycle of parents ends', async () => {
  const set = await engine.load(
    [{ id: 'in', text: 'permit (principal in Team::"z", action, resource);' }],
    SCHEMA,
  );
  const cycle = entities(user('alice', {}, 'a'), team('a', 'b'), team('b', 'a'));
  expect(decide(set, request(), cycle)).toMatchObject({ decision: 'deny', errors: [] });
});

test('strings and extension objects of the schema are both read', async () => {
  const set = await engine.load(
    [
      {
        id: 'ip',
        text: 'permit (principal, action, resource) when { context has ip && context.ip.isInRange(ip("10.0.0.0/8")) };',
      },
    ],
    SCHEMA,
  );
  for (const address of ['10.1.2.3', { __extn: { fn: 'ip', arg: '10.1.2.3' } }]) {
    expect(decide(set, request({ context: { ip: address } }), entities()).reasons).toEqual(['ip']);
  }
});

test('1,000 entities are taken and one more denies', async () => {
  const set = await engine.load(
    [{ id: 'in', text: 'permit (principal in Team::"z", action, resource);' }],
    SCHEMA,
  );
  // Alice and the teams that she is in.
  const world = (teams: number) => {
    const ids = Array.from({ length: teams }, (_, index) => `t${index}`);
    return entities(user('alice', {}, ...ids), ...ids.map((id) => team(id)), team('z'));
  };
  expect(decide(set, request(), world(999)).errors).toEqual([]);
  expect(decide(set, request(), world(1000)).errors[0]?.message).toContain('1000 entities');
});

test('100,000 values are taken and one more denies', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const words = (count: number) => request({ context: { words: Array(count).fill('w') } });
  expect(decide(set, words(90_000), entities()).decision).toBe('allow');
  expect(decide(set, words(100_001), entities()).errors[0]?.message).toContain('100000 values');
});

test('values nested 64 deep are taken and one more is not', async () => {
  const set = await engine.load([OWNER_PERMIT], undefined);
  const nested = (depth: number) => {
    let value: CedarJson = 1;
    for (let level = 1; level < depth; level += 1) value = [value];
    return decide(set, request({ context: { risk: value } }), entities());
  };
  // The context is a record of its own.
  expect(nested(63).decision).toBe('allow');
  expect(nested(64).errors[0]?.message).toContain('64');
});

test('sets in sets are compared in one pass', { timeout: 10_000 }, async () => {
  // Eight members at each of five levels, which differ in the last alone: pair by pair it is most of a minute.
  const nest = (levels: number, last: number): CedarJson =>
    levels === 0
      ? last
      : Array.from({ length: 8 }, (_, at) => nest(levels - 1, at < 7 ? at : 7 + last));
  const policies = Array.from({ length: 60 }, (_, at) => ({
    id: `p${at}`,
    text: 'permit (principal, action, resource) when { context.x == context.y };',
  }));
  const set = await engine.load(policies, undefined);
  const ask = (last: number) =>
    decide(set, request({ context: { x: nest(5, 0), y: nest(5, last) } }), entities());
  expect(ask(1)).toMatchObject({ decision: 'deny', errors: [] });
  expect(ask(0).reasons).toHaveLength(60);
});

test('of a set that holds no entities one is blamed in one pass', { timeout: 10_000 }, async () => {
  // Sorted anew at each of 14 levels it would be a minute.
  const nest = (levels: number, last: number): CedarJson =>
    levels === 0 ? last : [nest(levels - 1, 0), nest(levels - 1, 1 + last)];
  const set = await engine.load(
    [{ id: 'p', text: 'permit (principal, action, resource) when { principal in context.x };' }],
    undefined,
  );
  const asked = request({ context: { x: [nest(14, 0), nest(14, 1)] } });
  expect(decide(set, asked, entities()).errors).toMatchObject([
    { policy: 'p', message: 'type error: expected (entity of type `any_entity_type`), got set' },
  ]);
});

test('ids and attribute names may hold anything that Unicode has', async () => {
  const schema =
    'entity U { "__proto__"?: Long, "": Long }; action go appliesTo { principal: U, resource: U };';
  const set = await engine.load(
    [
      {
        id: 'p',
        text: 'permit (principal, action, resource) when { principal["__proto__"] == 1 };'.replace(
          'principal["',
          'principal has "__proto__" && principal["',
        ),
      },
    ],
    schema,
  );
  const attrs = JSON.parse('{"__proto__":1,"":2}');
  for (const id of ['__proto__', 'a\0b', '"', 'é', '😀', '']) {
    const uid = { type: 'U', id };
    const answer = decide(
      set,
      { principal: uid, action: { type: 'Action', id: 'go' }, resource: uid, context: {} },
      {
        get: (asked) =>
          asked.id === id && asked.type === 'U' ? { uid, attrs, parents: [] } : undefined,
      },
    );
    expect(answer).toMatchObject({ decision: 'allow', errors: [] });
  }
});

test('a source that throws denies and breaks nothing', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const broken = {
    get(): never {
      throw new Error('no store');
    },
  };
  expect(decide(set, request(), broken)).toMatchObject({
    decision: 'deny',
    errors: [{ policy: '', message: 'no store' }],
  });
  expect(decide(set, request(), entities()).decision).toBe('allow');
});

test.each([
  ['has no text', () => Object.create(null)],
  ['has a message that is none', () => Object.assign(new Error('x'), { message: 5 })],
  [
    'throws again',
    () =>
      Object.defineProperty(new Error('x'), 'message', {
        get() {
          throw new Error('y');
        },
      }),
  ],
])('what is thrown and %s denies', async (_what, make) => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const source = {
    get() {
      throw make();
    },
  };
  expect(decide(set, request(), source)).toMatchObject({
    decision: 'deny',
    errors: [{ policy: '', message: expect.any(String) }],
  });
});

test('a call stack that ends while deciding denies, and the next call is as good as ever', async () => {
  const deep = `${'!('.repeat(30)}context has risk${')'.repeat(30)}`;
  const set = await engine.load(
    [OWNER_PERMIT, { id: 'deep', text: `forbid (principal, action, resource) when { ${deep} };` }],
    SCHEMA,
  );
  const answers = new Set<string>();
  let attempts = 0;
  // Down to the end of the stack, then deciding now and then on the way up until there is room.
  const descend = (): number => {
    let depth = 0;
    try {
      depth = descend() + 1;
    } catch {
      return 0;
    }
    if (depth % 5 !== 0 || attempts === 40) return depth;
    attempts += 1;
    try {
      const answer = decide(set, request(), entities());
      answers.add(answer.errors[0]?.message ?? answer.decision);
    } catch {
      answers.add('no room even for an answer');
    }
    return depth;
  };
  descend();
  expect(decide(set, request(), entities())).toMatchObject({ decision: 'allow', errors: [] });
  expect([...answers].join()).toContain('Maximum call stack size exceeded');
});

test('an errored forbid is skipped as the official engine does, and denies where strict', async () => {
  const overflow = 'context.risk + 9223372036854775807 > 0';
  const set = await engine.load(
    [
      { id: 'all', text: 'permit (principal, action, resource);' },
      {
        id: 'stop',
        text: `forbid (principal, action, resource) when { context has risk && ${overflow} };`,
      },
    ],
    SCHEMA,
  );
  const view = entitiesFrom(entities(), set.parseEntity);
  const errors = [
    {
      policy: 'stop',
      message: 'integer overflow while attempting to add the values `1` and `9223372036854775807`',
      span: { start: 64, end: 98 },
    },
  ];
  const asked = request({ context: { risk: 1 } });
  expect(set.authorize(asked, view)).toEqual({
    decision: 'allow',
    reasons: ['all'],
    errors,
    erroredForbids: ['stop'],
  });
  expect(set.authorize(asked, view, { strict: true })).toEqual({
    decision: 'deny',
    reasons: [],
    errors,
    erroredForbids: ['stop'],
  });
  expect(set.authorize(request(), view, { strict: true }).decision).toBe('allow');
});

test('integers are exact over all of i64, in policies, entities and context', async () => {
  const set = await engine.load(
    [
      {
        id: 'p',
        text: 'permit (principal, action, resource) when { context.risk == 9007199254740993 };'.replace(
          'context.risk',
          'context has risk && context.risk',
        ),
      },
      {
        id: 'age',
        text: 'permit (principal, action, resource) when { principal has age && principal.age == -9223372036854775808 };',
      },
    ],
    SCHEMA,
  );
  const reasons = (risk: bigint, age: bigint) =>
    decide(set, request({ context: { risk } }), entities(user('alice', { age }))).reasons;
  expect(reasons(2n ** 53n + 1n, -(2n ** 63n))).toEqual(['age', 'p']);
  expect(reasons(2n ** 53n, -(2n ** 63n) + 1n)).toEqual([]);
  expect(reasons(2n ** 53n + 2n, 2n ** 63n - 1n)).toEqual([]);
});

test('what is thrown is told in a thousand characters at most', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const source = {
    get(): never {
      throw new Error('x'.repeat(5000));
    },
  };
  expect(decide(set, request(), source).errors).toEqual([
    { policy: '', message: 'x'.repeat(1000) },
  ]);
  const silent = {
    get(): never {
      throw Object.create(null);
    },
  };
  expect(decide(set, request(), silent).errors[0]?.message).toMatch(/^found an error/);
});

test.each([
  ['containsAll', 'deny'],
  ['containsAny', 'allow'],
] as const)('%s of a set that the request brings', async (method, decision) => {
  const text = `permit (principal, action, resource) when { context has words && ["a", "b"].${method}(context.words) };`;
  const set = await engine.load([{ id: 'p', text }], SCHEMA);
  const asked = request({ context: { words: ['b', 'c'] } });
  expect(decide(set, asked, entities())).toMatchObject({ decision, errors: [] });
});

test.each([
  ['"a" < datetime("2024-01-01")', 'type error: expected datetime, got string', '"a"'],
  ['datetime("2024-01-01") < "a"', 'type error: expected datetime, got string', '"a"'],
  [
    'principal in [1, context.risk, User::"x"]',
    'type error: expected (entity of type `any_entity_type`), got long',
    'principal in [1, context.risk, User::"x"]',
  ],
  [
    'principal in [User::"x", 1, 1]',
    'type error: expected (entity of type `any_entity_type`), got long',
    undefined,
  ],
])('%s blames the part that does not fit', async (condition, message, blamed) => {
  const text = `permit (principal, action, resource) when { ${condition} };`;
  const set = await engine.load([{ id: 'p', text }], undefined, { validation: 'off' });
  const { errors } = decide(set, request({ context: { risk: 1 } }), entities());
  const [{ span = { start: -1, end: -1 } } = {}] = errors;
  expect(errors.map((error) => error.message)).toEqual([message]);
  if (blamed === undefined) expect(span.start).toBe(text.lastIndexOf('1'));
  else expect(text.slice(span.start, span.end)).toBe(blamed);
});

test('a schema’s actions and their groups are entities of every view', async () => {
  const schema = `${SCHEMA}\naction "all"; action "part" in ["all"] appliesTo { principal: User, resource: Vault, context: {} };`;
  const set = await engine.load([OWNER_PERMIT], schema);
  const view = set.view(entitiesFrom(entities(), set.parseEntity));
  const part = new EntityUid('Action', 'part');
  const all = new EntityUid('Action', 'all');
  expect(view.find(part)?.parents).toEqual([]);
  expect(view.isDescendant(part, all)).toBe(true);
  const met: string[] = [];
  const meet = (isLast: boolean) => (uid: EntityUid) => {
    met.push(uid.id);
    return isLast;
  };
  expect([view.someAncestor(part, meet(true)), view.someAncestor(part, meet(false))]).toEqual([
    true,
    false,
  ]);
  expect(met).toEqual(['all', 'all']);
  expect(view.someAncestor(new EntityUid('Action', 'unknown'), meet(true))).toBe(false);
});
