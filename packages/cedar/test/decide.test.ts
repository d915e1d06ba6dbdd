import type { CedarEntity, CedarJson } from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { entities, newEngine, OWNER_PERMIT, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

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
  expect(set.decide(request(), entities())).toEqual({
    decision: 'allow',
    reasons: ['owner'],
    errors: [],
    erroredForbids: [],
  });
  const mallory = request({ principal: { type: 'User', id: 'mallory' } });
  expect(set.decide(mallory, entities())).toMatchObject({ decision: 'deny', reasons: [] });
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
  expect(set.decide(request(), entities())).toMatchObject({ decision: 'deny', reasons: ['b'] });
  expect(set.decide(request({ context: { risk: 1 } }), entities()).reasons).toEqual(['a', 'b']);
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
  const answer = set.decide(request({ context: { risk: 1 } }), entities());
  expect(answer.decision).toBe('allow');
  expect(answer.erroredForbids).toEqual(['stop']);
  expect(answer.errors.map((error) => error.policy)).toEqual(['also', 'stop']);
  expect(set.decide(request(), entities())).toMatchObject({ errors: [], erroredForbids: [] });
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
    set.decide(request({ context }), entities(...world)).reasons;
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

test('the slice holds entities that a policy looks into, not those it compares with', async () => {
  const set = await engine.load(
    [
      {
        id: 'lit',
        text: 'permit (principal, action, resource) when { User::"root" has age && User::"root".age > 3 };',
      },
      {
        id: 'in',
        text: 'permit (principal, action, resource) when { User::"svc" in Team::"top" };',
      },
      {
        id: 'not',
        text: 'permit (principal == User::"compared", action, resource) when { principal == User::"compared2" || principal in [Team::"a", Team::"b"] };',
      },
    ],
    SCHEMA,
  );
  const world = entities(user('root', { age: 4 }), user('svc', {}, 'mid'), team('mid', 'top'));
  expect(set.decide(request(), world).reasons).toEqual(['in', 'lit']);
  expect(world.asked).toContain('User::root');
  for (const name of ['User::compared', 'User::compared2', 'Team::a', 'Team::b']) {
    expect(world.asked).not.toContain(name);
  }
});

test('entities that attributes name are looked up only where a policy looks into them', async () => {
  const alice = user('alice', { boss: ref('User', 'bob'), teams: [ref('Team', 'x')] }, 'low');
  const world = () => entities(alice, user('bob', { age: 60 }, 'bosses'), team('low', 'top'));
  const asked = async (condition: string) => {
    const text = `permit (principal, action, resource) when { ${condition} };`;
    const set = await engine.load([{ id: 'p', text }], SCHEMA);
    const found = world();
    const { decision } = set.decide(request({ context: { friend: ref('User', 'dan') } }), found);
    set.dispose();
    expect(found.asked).toContain('Team::top');
    expect(found.asked).toContain('User::dan');
    expect(decision).toBe('allow');
    return found.asked.includes('User::bob');
  };
  for (const condition of [
    'principal has boss && principal.boss == User::"bob"',
    'principal has teams && principal.teams.contains(Team::"x")',
    'principal in Team::"top" && !(context.friend has age)',
    'principal has teams && !(context.friend in principal.teams)',
    'principal has boss && [principal.boss, principal].contains(principal)',
  ].map((each) => (each.includes('friend') ? `context has friend && ${each}` : each))) {
    expect([condition, await asked(condition)]).toEqual([condition, false]);
  }
  for (const condition of [
    'principal has boss && principal.boss has age && principal.boss.age == 60',
    'principal has boss && principal.boss in Team::"bosses"',
    'principal has boss && principal.boss is User in Team::"bosses"',
    'principal has boss && (if principal in Team::"top" then principal.boss else principal) in Team::"bosses"',
    'principal has boss && {a: principal.boss}.a in Team::"bosses"',
    'principal has boss && !(principal.boss.hasTag("none"))',
  ]) {
    expect([condition, await asked(condition)]).toEqual([condition, true]);
  }
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
  expect(set.decide(request(), entities({ ...user('alice'), tags: { n: 7 } })).reasons).toEqual([
    'tag',
  ]);
  expect(
    set.decide(request(), entities({ ...user('alice'), tags: { n: 7.5 } })).errors,
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
  ['a bigint', request({ context: { risk: 1n as never } }), /bigint.*context\.risk/],
  ['null', request({ context: { risk: null as never } }), /null.*context\.risk/],
  ['a Date', request({ context: { at: new Date(0) as never } }), /class.*context\.at/],
  [
    'an unknown',
    request({ context: { risk: { __extn: { fn: 'unknown', arg: 'q' } } } }),
    /unknown/,
  ],
  ['an expression', request({ context: { risk: { __expr: '1+1' } } }), /__expr/],
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
  const answer = set.decide(question, entities());
  expect(answer).toMatchObject({ decision: 'deny', reasons: [], erroredForbids: [] });
  expect(answer.errors).toHaveLength(1);
  expect(answer.errors[0]?.policy).toBe('');
  expect(answer.errors[0]?.message).toMatch(message);
  expect(set.decide(request(), entities()).decision).toBe('allow');
});

test('takes the safe integers at both ends', async () => {
  const set = await engine.load(
    [{ id: 'all', text: 'permit (principal, action, resource);' }],
    SCHEMA,
  );
  for (const risk of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    expect(set.decide(request({ context: { risk } }), entities()).decision).toBe('allow');
  }
});

test('an entity that does not fit the schema denies', async () => {
  const set = await engine.load(
    [{ id: 'all', text: 'permit (principal, action, resource);' }],
    SCHEMA,
  );
  for (const attrs of [{ agee: 1 }, { age: 'x' }, { age: 2 ** 60 }] as const) {
    expect(set.decide(request(), entities(user('alice', attrs as never))).decision).toBe('deny');
  }
  const ownerless = { uid: { type: 'Vault', id: 'v1' }, attrs: {}, parents: [] };
  expect(set.decide(request(), entities(ownerless)).errors[0]?.message).toMatch(/owner/);
  const cycle = entities(user('alice', {}, 'a'), team('a', 'b'), team('b', 'a'));
  expect(set.decide(request(), cycle).errors[0]?.message).toMatch(/cycle/);
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
    expect(set.decide(request({ context: { ip: address } }), entities()).reasons).toEqual(['ip']);
  }
});

test('1,000 entities are taken and one more denies', async () => {
  // Attributes are followed only where a policy looks into what they name.
  const looksIn = {
    id: 'boss',
    text: 'forbid (principal, action, resource) when { principal has boss && principal.boss has age };',
  };
  const set = await engine.load([OWNER_PERMIT, looksIn], SCHEMA);
  // Alice, her vault and the teams that her attribute names; flat, so that Cedar is quick about it.
  const world = (teams: number) => {
    const ids = Array.from({ length: teams }, (_, index) => `t${index}`);
    const alice = user('alice', { teams: ids.map((id) => ref('Team', id)) });
    return entities(alice, ...ids.map((id) => team(id)));
  };
  expect(set.decide(request(), world(998)).decision).toBe('allow');
  const answer = set.decide(request(), world(999));
  expect(answer.decision).toBe('deny');
  expect(answer.errors[0]?.message).toContain('more than 1000 entities');
});

test('100,000 values are taken and one more denies', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  // Context and its set count too, and so do the entities' records and the owner's three values.
  const words = (count: number) => request({ context: { words: Array(count).fill('w') } });
  expect(set.decide(words(90_000), entities()).decision).toBe('allow');
  const answer = set.decide(words(100_000), entities());
  expect(answer.errors[0]?.message).toContain('more than 100000 values');
});

test('values nested 64 deep reach Cedar and one more does not', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const nested = (depth: number) => {
    let value: CedarJson = 1;
    for (let level = 0; level < depth; level += 1) value = [value];
    return set.decide(request({ context: { risk: value } }), entities()).errors[0]?.message;
  };
  expect(nested(62)).not.toContain('nested deeper');
  expect(nested(63)).toContain('nested deeper than 64');
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
    const answer = set.decide(
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
  expect(set.decide(request(), broken)).toMatchObject({
    decision: 'deny',
    errors: [{ policy: '', message: 'evaluation broke: no store' }],
  });
  expect(set.decide(request(), entities()).decision).toBe('allow');
});

test('an instance that broke is replaced, with every set that is alive', async () => {
  const mine = [{ id: 'all', text: 'permit (principal, action, resource);' }];
  const [one, two] = [await engine.load(mine, SCHEMA), await engine.load([OWNER_PERMIT], SCHEMA)];
  // What throws inside of wasm is as good as a crash: its stack is never unwound.
  const attrs = Object.defineProperty({}, 'toJSON', {
    value() {
      throw new Error('thrown inside');
    },
  });
  const broken = entities({ uid: { type: 'User', id: 'alice' }, attrs, parents: [] });
  for (let round = 0; round < 3; round += 1) {
    expect(one.decide(request(), broken)).toMatchObject({
      decision: 'deny',
      reasons: [],
      errors: [{ policy: '', message: expect.stringMatching(/^evaluation broke: /) }],
    });
    expect(two.decide(request(), entities()).reasons).toEqual(['owner']);
    expect(one.decide(request(), entities()).reasons).toEqual(['all']);
  }
});

test('a call stack that ends inside of wasm denies, and the next call is as good as ever', async () => {
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const messages = new Set<string>();
  let attempts = 0;
  // Down to the end of the stack, then deciding now and then on the way up until there is room.
  const descend = (): number => {
    let depth = 0;
    try {
      depth = descend() + 1;
    } catch {
      return 0;
    }
    if (depth % 25 !== 0 || attempts === 8) return depth;
    attempts += 1;
    try {
      const answer = set.decide(request(), entities());
      messages.add(answer.errors[0]?.message ?? answer.decision);
    } catch {
      messages.add('no room even for an answer');
    }
    return depth;
  };
  descend();
  expect(set.decide(request(), entities())).toMatchObject({ decision: 'allow', errors: [] });
  expect([...messages].join()).toContain('Maximum call stack size exceeded');
});
