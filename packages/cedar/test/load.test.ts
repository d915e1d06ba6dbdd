import { CedarError, type PolicySource } from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { entities, newEngine, OWNER_PERMIT, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

const parens = (count: number): PolicySource => ({
  id: `parens-${count}`,
  text: `permit (principal, action, resource) when { ${'('.repeat(count)}true${')'.repeat(count)} };`,
});
const chain = (operators: number, text: string): PolicySource => ({
  id: `chain-${operators}`,
  text: `permit (principal, action, resource) when { ${text.repeat(operators)}true };`,
});
/** Within every bound that is looked at, and deadly all the same. */
const poison = (id: string): PolicySource => ({
  id,
  text: `permit (principal, action, resource) when { context${'.a'.repeat(5000)} };`,
});

test('loads a policy set and tells its ids, effects and annotations', async () => {
  const set = await engine.load(
    [
      {
        id: 'z',
        text: '@challenge("acr=\\"phr\\"")\n@note\nforbid (principal, action, resource);',
      },
      OWNER_PERMIT,
    ],
    SCHEMA,
  );
  expect(set.ids).toEqual(['owner', 'z']);
  expect(set.policy('z')?.effect).toBe('forbid');
  expect([...(set.policy('z')?.annotations ?? [])]).toEqual([
    ['challenge', 'acr="phr"'],
    ['note', ''],
  ]);
  expect(set.policy('owner')).toEqual({ effect: 'permit', annotations: new Map() });
  expect(set.policy('other')).toBeUndefined();
});

test.each([
  ['a syntax error', 'permit (principal, action, resource) when { 1 + };', /unexpected token/],
  [
    'an unknown attribute',
    'permit (principal is User, action, resource) when { principal.agee == 1 };',
    /agee/,
  ],
  ['an unknown type', 'permit (principal is Usr, action, resource);', /Usr/],
  [
    'two policies in one',
    'permit (principal, action, resource); forbid (principal, action, resource);',
    /forbid/,
  ],
  ['no policy', '// nothing', /unexpected end/],
  ['a template slot', 'permit (principal == ?principal, action, resource);', /slot \?principal/],
  [
    'an integer beyond 2^53',
    'permit (principal, action, resource) when { 9007199254740992 > 1 };',
    /9007199254740992/,
  ],
  [
    'a value of the wrong type',
    'permit (principal, action, resource) when { context has risk && context.risk };',
    /Bool/,
  ],
])('refuses %s, naming the policy', async (_what, text, message) => {
  const error = await engine.load([OWNER_PERMIT, { id: 'bad', text }], SCHEMA).catch((e) => e);
  expect(error).toBeInstanceOf(CedarError);
  expect(error.code).toBe('ERR_CEDAR_POLICY_INVALID');
  expect(error.message).toMatch(/^cannot load policy 'bad': /);
  expect(error.message).toMatch(message);
  expect(error.problems.every((problem: { policy?: string }) => problem.policy === 'bad')).toBe(
    true,
  );
});

test('takes the largest safe integer and refuses the next, saying where', async () => {
  const text = (integer: string) =>
    `permit (principal, action, resource) when { context has risk && context.risk < ${integer} };`;
  expect(await engine.validate([{ id: 'a', text: text('9007199254740991') }], SCHEMA)).toEqual([]);
  const [problem, ...others] = await engine.validate(
    [{ id: 'a', text: text('9007199254740992') }],
    SCHEMA,
  );
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ code: 'ERR_CEDAR_POLICY_INVALID', policy: 'a' });
  expect(text('9007199254740992').slice(problem?.start, problem?.end)).toBe('9007199254740992');
});

test('an integer in a string or a comment is text', async () => {
  const text =
    'permit (principal, action, resource) when { context has words && context.words.contains("99999999999999999999") }; // 99999999999999999999';
  expect(await engine.validate([{ id: 'a', text }], SCHEMA)).toEqual([]);
});

test('offsets count UTF-16 units, not bytes', async () => {
  const text = 'permit (principal, action, resource) when { "é😀" == "é😀" && context.nope };';
  const [problem] = await engine.validate([{ id: 'a', text }], SCHEMA);
  expect(text.slice(problem?.start, problem?.end)).toBe('context.nope');
});

test('refuses a schema that does not parse, with the place', async () => {
  const schema = 'entity User; entity ; action x;';
  const error = await engine.load([OWNER_PERMIT], schema).catch((e) => e);
  expect(error.code).toBe('ERR_CEDAR_SCHEMA_INVALID');
  expect(error.problems[0].start).toBe(20);
  const half = await engine.validate([], '\ud800');
  expect(half).toMatchObject([{ code: 'ERR_CEDAR_SCHEMA_INVALID' }]);
});

test('tells all that is wrong at once, and warnings as warnings', async () => {
  const problems = await engine.validate(
    [
      { id: 'a', text: 'permit (principal, action' },
      { id: 'b', text: 'permit (principal is Usr, action, resource);' },
      { id: 'c', text: 'permit (principal, action, resource) when { false };' },
      { id: 'd', text: 'permit (principal, action, resource) when { 99999999999999999999 == 1 };' },
    ],
    SCHEMA,
  );
  const told = (severity: string) =>
    problems.filter((each) => each.severity === severity).map((each) => each.policy);
  expect([...new Set(told('error'))].sort()).toEqual(['a', 'b', 'd']);
  expect(told('warning')).toContain('c');
});

test('loads in spite of warnings', async () => {
  const set = await engine.load(
    [{ id: 'c', text: 'permit (principal, action, resource) when { false };' }],
    SCHEMA,
  );
  expect(set.decide(request(), entities()).decision).toBe('deny');
});

test.each([
  ['', 'an empty id'],
  ['x'.repeat(257), 'an id of 257 characters'],
  ['\ud800', 'half a surrogate pair'],
])('refuses the id %j', async (id, message) => {
  const [problem] = await engine.validate([{ ...OWNER_PERMIT, id }], SCHEMA);
  expect(problem?.message).toContain(message);
});

test('refuses an id used twice; takes __proto__ and 256 characters', async () => {
  await expect(engine.load([OWNER_PERMIT, OWNER_PERMIT], SCHEMA)).rejects.toThrow(/'owner' twice/);
  const ids = ['__proto__', 'x'.repeat(256), 'constructor'];
  const set = await engine.load(
    ids.map((id) => ({ ...OWNER_PERMIT, id })),
    SCHEMA,
  );
  expect(set.ids).toEqual([...ids].sort());
  expect(set.decide(request(), entities()).reasons).toEqual([...ids].sort());
});

test('takes 64 brackets nested and refuses 65 before any parser sees them', async () => {
  expect(await engine.validate([parens(63)], SCHEMA)).toEqual([]);
  const [problem] = await engine.validate([parens(64)], SCHEMA);
  expect(problem).toMatchObject({ code: 'ERR_CEDAR_TOO_DEEP', policy: 'parens-64' });
  const nested = (depth: number) => `type T = ${'Set<'.repeat(depth)}Long${'>'.repeat(depth)};`;
  expect(await engine.validate([], nested(64))).toEqual([]);
  expect(await engine.validate([], nested(65))).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
});

test('takes a policy of 65,536 characters and refuses one more', async () => {
  const padded = (length: number) => ({ id: 'a', text: OWNER_PERMIT.text.padEnd(length) });
  expect(await engine.validate([padded(65_536)], SCHEMA)).toEqual([]);
  const [problem] = await engine.validate([padded(65_537)], SCHEMA);
  expect(problem?.code).toBe('ERR_CEDAR_TOO_DEEP');
});

test('refuses what is beyond the bounds as a whole', async () => {
  const many = Array.from({ length: 10_001 }, (_, index) => ({ ...OWNER_PERMIT, id: `${index}` }));
  expect(await engine.validate(many, SCHEMA)).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
  const longSchema = SCHEMA.padEnd(1_048_577);
  expect(await engine.validate([], longSchema)).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
});

test.each(['true && ', 'true || ', 'if true then true else '])(
  'takes 500 times %j, decides with it, and refuses one more',
  async (text) => {
    const set = await engine.load([chain(500, text)], SCHEMA);
    expect(set.decide(request(), entities()).reasons).toEqual(['chain-500']);
    const [problem] = await engine.validate([chain(501, text)], SCHEMA);
    expect(problem).toMatchObject({ code: 'ERR_CEDAR_TOO_DEEP', policy: 'chain-501' });
  },
);

test('survives a policy that kills the parser, and so do the sets that are loaded', async () => {
  const before = await engine.load([OWNER_PERMIT], SCHEMA);
  const error = await engine.load([OWNER_PERMIT, poison('deadly')], SCHEMA).catch((e) => e);
  expect(error.code).toBe('ERR_CEDAR_TOO_DEEP');
  expect(error.message).toMatch(/^cannot load policy 'deadly': parsing ended the worker/);
  const after = await engine.load([OWNER_PERMIT], SCHEMA);
  for (const set of [before, after]) {
    expect(set.decide(request(), entities()).decision).toBe('allow');
  }
});

test('blames each of several deadly policies and still tells what is wrong with the rest', async () => {
  const problems = await engine.validate(
    [poison('first'), { id: 'wrong', text: 'permit (principal, action' }, poison('second')],
    SCHEMA,
  );
  expect(problems.map(({ policy, code }) => [policy, code])).toEqual([
    ['first', 'ERR_CEDAR_TOO_DEEP'],
    ['second', 'ERR_CEDAR_TOO_DEEP'],
    ['wrong', 'ERR_CEDAR_POLICY_INVALID'],
  ]);
});

test('gives up after eight deaths', async () => {
  const deadly = Array.from({ length: 9 }, (_, index) => poison(`${index}`));
  const problems = await engine.validate(deadly, SCHEMA);
  expect(problems).toHaveLength(9);
  expect(problems.at(-1)?.message).toContain('gave up');
});

test('a policy that takes too long is found among others, and the next call has a fresh worker', async () => {
  await using impatient = newEngine(1000);
  // Checked for each of 3,600 pairs of principal and resource: some seconds, while the other is quick.
  const types = Array.from({ length: 60 }, (_, index) => `T${index}`).join(', ');
  const schema = `entity ${types} { age?: Long }; action a appliesTo { principal: [${types}], resource: [${types}] };`;
  const quick = { id: 'quick', text: 'permit (principal is T1, action, resource is T2);' };
  const slow = {
    id: 'slow',
    text: `permit (principal, action, resource) when { ${'principal has age && '.repeat(400)}true };`,
  };
  const problems = await impatient.validate([quick, slow], schema);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP', policy: 'slow' }]);
  expect(problems[0]?.message).toContain('no end within 1000 ms');
  expect(await impatient.validate([quick], schema)).toEqual([]);
});

test('holds 64 sets; a disposed one makes room and answers deny', async () => {
  await using engine = newEngine();
  const sets = [];
  for (let count = 0; count < 64; count += 1) sets.push(await engine.load([OWNER_PERMIT], SCHEMA));
  await expect(engine.load([OWNER_PERMIT], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_OVERLOADED',
  });
  const [first, second] = sets;
  first?.dispose();
  first?.dispose();
  expect(first?.decide(request(), entities())).toMatchObject({
    decision: 'deny',
    errors: [{ policy: '', message: 'found the policy set disposed' }],
  });
  const successor = await engine.load(
    [{ id: 'never', text: 'forbid (principal, action, resource);' }],
    SCHEMA,
  );
  expect(successor.decide(request(), entities()).reasons).toEqual(['never']);
  expect(second?.decide(request(), entities()).reasons).toEqual(['owner']);
  await expect(engine.load([OWNER_PERMIT], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_OVERLOADED',
  });
});

test('64 calls wait, one more is refused', async () => {
  await using engine = newEngine();
  const calls = Array.from({ length: 65 }, () => engine.validate([], SCHEMA));
  const results = await Promise.allSettled(calls);
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(64);
  expect(results[64]).toMatchObject({ reason: { code: 'ERR_CEDAR_OVERLOADED' } });
  expect(await engine.validate([], SCHEMA)).toEqual([]);
});

test('a closed engine loads nothing and its sets deny', async () => {
  const engine = newEngine();
  const set = await engine.load([OWNER_PERMIT], SCHEMA);
  const underWay = engine.load([OWNER_PERMIT], SCHEMA).catch((error) => error.code);
  await engine.close();
  expect(await underWay).toBe('ERR_CEDAR_CLOSED');
  await expect(engine.load([OWNER_PERMIT], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_CLOSED',
  });
  expect(set.decide(request(), entities()).decision).toBe('deny');
  await engine.close();
});
