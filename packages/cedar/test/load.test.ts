import {
  CedarError,
  createEntityStore,
  type ParseThread,
  type PolicySource,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';
import { newEngine, OWNER_PERMIT, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

const nobody = createEntityStore();
const ALICE_PERMIT: PolicySource = {
  id: 'alice',
  text: 'permit (principal == User::"alice", action, resource);',
};
const parens = (count: number): PolicySource => ({
  id: `parens-${count}`,
  text: `permit (principal, action, resource) when { ${'('.repeat(count)}true${')'.repeat(count)} };`,
});
/** A policy that ends a thread of {@link startMortalThread} for good. */
const poison = (id: string): PolicySource => ({
  id,
  text: `permit (principal, action, resource) when { "poison" == "${id}" };`,
});

/**
 * A thread that is ended when it is asked about poison. No text within the bounds is known to end cedar-wasm; one
 * that does is to end no more than its thread.
 */
async function startMortalThread(): Promise<ParseThread> {
  const thread = await startNodeThread();
  return {
    ...thread,
    post(message) {
      thread.post(message);
      if (JSON.stringify(message).includes('poison')) void thread.terminate();
    },
  };
}

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
    'an integer beyond 64 bits',
    'permit (principal, action, resource) when { 9223372036854775808 > 1 };',
    /9223372036854775808/,
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

test.each([
  ['9007199254740991', 9007199254740991, false],
  ['9007199254740993', 9007199254740993n, true],
  ['9223372036854775807', 9223372036854775807n, true],
])('keeps the integer %s exactly, and decides with it', async (integer, value, isBeyond) => {
  const text = `permit (principal, action, resource) when { context has risk && ${integer} - context.risk == 9007199254740992 };`;
  const set = await engine.load([{ id: 'a', text }], SCHEMA);
  const condition = JSON.stringify(set.policies[0]?.conditions, (_key, each) =>
    typeof each === 'bigint' ? `${each}n` : each,
  );
  expect(condition).toContain(`"value":${isBeyond ? `"${value}n"` : value}`);
  // One less than what rounding to doubles would make of it.
  const risk = BigInt(integer) - 9007199254740992n;
  if (risk > Number.MAX_SAFE_INTEGER) return;
  const ask = (context: number) => set.authorize(request({ context: { risk: context } }), nobody);
  expect(ask(Number(risk)).decision).toBe('allow');
  expect(ask(Number(risk) - 1).decision).toBe('deny');
});

test('takes the integers of 64 bits and refuses the next, saying where', async () => {
  const text = (integer: string) =>
    `permit (principal, action, resource) when { context has risk && context.risk < ${integer} };`;
  for (const integer of [
    '9223372036854775807',
    '-9223372036854775808',
    '00000000000000000000001',
  ]) {
    expect(await engine.validate([{ id: 'a', text: text(integer) }], SCHEMA)).toEqual([]);
  }
  for (const integer of ['9223372036854775808', '18446744073709551616']) {
    const [problem] = await engine.validate([{ id: 'a', text: text(integer) }], SCHEMA);
    expect(problem).toMatchObject({ code: 'ERR_CEDAR_POLICY_INVALID', policy: 'a' });
    expect(text(integer).slice(problem?.start, problem?.end)).toBe(integer);
  }
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
  expect(set.authorize(request(), nobody).decision).toBe('deny');
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
    ids.map((id) => ({ ...ALICE_PERMIT, id })),
    SCHEMA,
  );
  expect(set.ids).toEqual([...ids].sort());
  expect(set.authorize(request(), nobody).reasons).toEqual([...ids].sort());
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

test('survives a policy that ends the thread, and names it', async () => {
  await using mortal = newEngine({ startThread: startMortalThread });
  const before = await mortal.load([ALICE_PERMIT], SCHEMA);
  const error = await mortal.load([ALICE_PERMIT, poison('deadly')], SCHEMA).catch((e) => e);
  expect(error.code).toBe('ERR_CEDAR_TOO_DEEP');
  expect(error.message).toMatch(/^cannot load policy 'deadly': parsing ended the worker/);
  const after = await mortal.load([ALICE_PERMIT], SCHEMA);
  for (const set of [before, after]) {
    expect(set.authorize(request(), nobody).decision).toBe('allow');
  }
});

test('blames each of several deadly policies and still tells what is wrong with the rest', async () => {
  await using mortal = newEngine({ startThread: startMortalThread });
  const problems = await mortal.validate(
    [
      poison('first'),
      { id: 'wrong', text: 'permit (principal, action' },
      poison('second'),
      { id: 'misfit', text: 'permit (principal is Usr, action, resource);' },
    ],
    SCHEMA,
  );
  expect(
    problems
      .filter(({ severity }) => severity === 'error')
      .map(({ policy, code }) => [policy, code]),
  ).toEqual([
    ['first', 'ERR_CEDAR_TOO_DEEP'],
    ['wrong', 'ERR_CEDAR_POLICY_INVALID'],
    ['second', 'ERR_CEDAR_TOO_DEEP'],
    ['misfit', 'ERR_CEDAR_POLICY_INVALID'],
  ]);
});

test.each([
  ['its first text, a schema', 0],
  ['a policy that it parses', 1],
  ['a policy that it validates', 2],
])(
  'blames nothing when a thread is ended once while it is asked about %s',
  async (_what, spared) => {
    let left = spared;
    let started = 0;
    await using engine = newEngine({
      async startThread() {
        started += 1;
        const thread = await startNodeThread();
        return {
          ...thread,
          post(message) {
            if (left === 0) void thread.terminate();
            else thread.post(message);
            left -= 1;
          },
        };
      },
    });
    expect(await engine.validate([ALICE_PERMIT], SCHEMA)).toEqual([]);
    expect(started).toBe(2);
  },
);

test('gives up after eight deaths', async () => {
  await using mortal = newEngine({ startThread: startMortalThread });
  const deadly = Array.from({ length: 9 }, (_, index) => poison(`${index}`));
  const problems = await mortal.validate(deadly, SCHEMA);
  expect(problems).toHaveLength(9);
  expect(problems.at(-1)?.message).toContain('gave up');
});

test('a schema that ends the thread is refused as a schema, and nothing else is looked at', async () => {
  await using mortal = newEngine({ startThread: startMortalThread });
  const problems = await mortal.validate([ALICE_PERMIT], 'entity poison;');
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
  expect(problems[0]?.policy).toBeUndefined();
  expect(await mortal.validate([ALICE_PERMIT], SCHEMA)).toEqual([]);
});

test('a policy that takes too long is found among others, and the next call has a fresh thread', async () => {
  await using impatient = newEngine({ timeoutMs: 1000 });
  // Checked for each of 3,600 pairs of principal and resource: some seconds, while the other is quick.
  const types = Array.from({ length: 60 }, (_, index) => `T${index}`).join(', ');
  const schema = `entity ${types} { age?: Long }; action a appliesTo { principal: [${types}], resource: [${types}] };`;
  const quick = { id: 'quick', text: 'permit (principal is T1, action, resource is T2);' };
  const slow = {
    id: 'slow',
    text: `permit (principal, action, resource) when { ${'principal has age && '.repeat(400)}true };`,
  };
  const others = Array.from({ length: 9 }, (_, index) => ({ ...quick, id: `quick-${index}` }));
  const problems = await impatient.validate([quick, slow, ...others], schema);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP', policy: 'slow' }]);
  expect(problems[0]?.message).toContain('no end within 1000 ms');
  expect(await impatient.validate([quick], schema)).toEqual([]);
});

test('a thread that breaks between two calls is replaced', async () => {
  const threads: ParseThread[] = [];
  await using engine = newEngine({
    async startThread() {
      const thread = await startNodeThread();
      threads.push(thread);
      return thread;
    },
  });
  expect(await engine.validate([ALICE_PERMIT], SCHEMA)).toEqual([]);
  await threads[0]?.terminate();
  expect(await engine.validate([ALICE_PERMIT], SCHEMA)).toEqual([]);
  expect(threads).toHaveLength(2);
});

test.each([
  ['cannot be started', () => Promise.reject(new Error('no room'))],
  [
    'ends before it is ready',
    async () => {
      const thread = await startNodeThread();
      void thread.terminate();
      return thread;
    },
  ],
])('says so when the thread %s, and tries again at the next call', async (_what, fail) => {
  let failures = 1;
  await using engine = newEngine({
    startThread: () => {
      failures -= 1;
      return failures < 0 ? startNodeThread() : fail();
    },
  });
  await expect(engine.load([ALICE_PERMIT], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_WORKER_FAILED',
  });
  expect((await engine.load([ALICE_PERMIT], SCHEMA)).ids).toEqual(['alice']);
});

test('64 calls wait, one more is refused', async () => {
  await using engine = newEngine();
  const calls = Array.from({ length: 65 }, () => engine.validate([], SCHEMA));
  const results = await Promise.allSettled(calls);
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(64);
  expect(results[64]).toMatchObject({ reason: { code: 'ERR_CEDAR_OVERLOADED' } });
  expect(await engine.validate([], SCHEMA)).toEqual([]);
});

test('a small set does not wait for a large one that was asked for before', async () => {
  await using engine = newEngine();
  const large = Array.from({ length: 1000 }, (_, index) => ({ ...ALICE_PERMIT, id: `p${index}` }));
  const order: string[] = [];
  await Promise.all([
    engine.load(large, SCHEMA).then(() => order.push('large')),
    engine.load([ALICE_PERMIT], SCHEMA).then(() => order.push('small')),
  ]);
  expect(order).toEqual(['small', 'large']);
});

test('a closed engine loads nothing, and its sets go on deciding', async () => {
  const engine = newEngine();
  const set = await engine.load([ALICE_PERMIT], SCHEMA);
  const underWay = engine.load([ALICE_PERMIT], SCHEMA).catch((error) => error.code);
  await engine.close();
  expect(await underWay).toBe('ERR_CEDAR_CLOSED');
  await expect(engine.load([ALICE_PERMIT], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_CLOSED',
  });
  expect(set.authorize(request(), nobody).decision).toBe('allow');
  await engine.close();
});

test('without a schema nothing is checked against one', async () => {
  const odd = {
    id: 'odd',
    text: 'permit (principal is Nobody, action, resource) when { 1 == "1" };',
  };
  const set = await engine.load([odd, ALICE_PERMIT], undefined);
  expect(set.schema).toBeUndefined();
  expect(set.authorize(request({ context: { any: 1 } }), nobody).reasons).toEqual(['alice']);
});

test('with validation off the schema is resolved, and policies need not fit it', async () => {
  const odd = { id: 'odd', text: 'permit (principal, action, resource) when { principal.nope };' };
  const set = await engine.load([odd], SCHEMA, { validation: 'off' });
  expect([...(set.schema?.entityTypes.keys() ?? [])].sort()).toEqual(['Team', 'User', 'Vault']);
  await expect(engine.load([odd], SCHEMA)).rejects.toMatchObject({
    code: 'ERR_CEDAR_POLICY_INVALID',
  });
  await expect(engine.load([odd], 'entity ;', { validation: 'off' })).rejects.toMatchObject({
    code: 'ERR_CEDAR_SCHEMA_INVALID',
  });
});
