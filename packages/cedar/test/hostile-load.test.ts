import { CedarError, createEntityStore, type PolicySource } from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { newEngine, request, SCHEMA } from './engine.ts';

// Each text here ends in a clear refusal or in a set that answers rightly, and the next load works.

const engine = newEngine();
afterAll(() => engine.close());

const nobody = createEntityStore();
const policy = (condition: string): PolicySource => ({
  id: 'hostile',
  text: `permit (principal, action, resource) when { ${condition} };`,
});

/** The decision, or the code of the refusal; the engine must be as good as new after it. */
async function outcome(sources: readonly PolicySource[], schema?: string): Promise<string> {
  const result = await engine.load(sources, schema).then(
    (set) => set.authorize(request(), nobody).decision,
    (error: unknown) => {
      expect(error).toBeInstanceOf(CedarError);
      return (error as CedarError).code;
    },
  );
  const after = await engine.load([policy('principal == User::"alice"')], schema);
  expect(after.authorize(request(), nobody).reasons).toEqual(['hostile']);
  return result;
}

const times = (count: number, text: string) => text.repeat(count);
const nest = (count: number, open: string, inner: string, close: string) =>
  `${times(count, open)}${inner}${times(count, close)}`;

test.each([
  ['parentheses', (depth: number) => nest(depth, '(', 'true', ')')],
  ['sets', (depth: number) => `${nest(depth, '[', '1', ']')} == ${nest(depth, '[', '1', ']')}`],
  [
    'records',
    (depth: number) => `${nest(depth, '{a: ', '1', '}')} == ${nest(depth, '{a: ', '1', '}')}`,
  ],
  ['arguments', (depth: number) => `!${nest(depth, '[1].contains(', '2', ')')}`],
  ['negations', (depth: number) => nest(depth, '!!(', 'true', ')')],
  [
    'conditions in parentheses',
    (depth: number) => nest(depth, 'if true then (', 'true', ') else false'),
  ],
])('takes 63 nested %s, and refuses 64 and 1,000', async (_what, text) => {
  expect(await outcome([policy(text(63))])).toBe('allow');
  expect(await outcome([policy(text(64))])).toBe('ERR_CEDAR_TOO_DEEP');
  expect(await outcome([policy(text(1000))])).toBe('ERR_CEDAR_TOO_DEEP');
});

test.each([
  ['brackets without end', nest(60_000, '(', '', '')],
  ['braces without end', nest(60_000, '{', '', '')],
  ['closing brackets only', nest(60_000, ')', '', '')],
  ['if without end', times(20_000, 'if ')],
  ['not without end', times(60_000, '!')],
  ['minus without end', times(60_000, '-')],
])('refuses %s', async (_what, text) => {
  expect(await outcome([policy(text)])).toMatch(/^ERR_CEDAR_(TOO_DEEP|POLICY_INVALID)$/);
});

test.each([
  ['&&', 500, (count: number) => `${times(count, 'true && ')}true`],
  ['||', 500, (count: number) => `${times(count, 'false || ')}true`],
  ['+', 500, (count: number) => `${times(count, '1 + ')}1 > 0`],
  ['*', 500, (count: number) => `${times(count, '1 * ')}1 > 0`],
  ['if … else', 500, (count: number) => `${times(count, 'if false then false else ')}true`],
  [
    'if in if',
    500,
    (count: number) => `${times(count, 'if ')}true${times(count, ' then true else false')}`,
  ],
  // Cedar makes an `&&` of each name after the first.
  ['has a.b', 250, (count: number) => `${times(count, 'context has a.b || ')}true`],
])('takes a chain of %s as long as %i and refuses one more', async (_what, count, text) => {
  expect(await outcome([policy(text(count))])).toBe('allow');
  expect(await outcome([policy(text(count + 1))])).toBe('ERR_CEDAR_TOO_DEEP');
  expect(await outcome([policy(text(5000))])).toBe('ERR_CEDAR_TOO_DEEP');
});

test.each([
  ['.a', (count: number) => `true || context${times(count, '.a')}`, 598],
  ['["a"]', (count: number) => `true || context${times(count, '["a"]')}`, 598],
  ['.isEmpty()', (count: number) => `true || context${times(count, '.isEmpty()')}`, 598],
  ['.toDate()', (count: number) => `true || context${times(count, '.toDate()')}`, 598],
  ['has a.a.a', (count: number) => `true || context has a${times(count, '.a')}`, 63],
])('takes a chain of %s as deep as the bound and refuses one more', async (_what, text, count) => {
  expect(await outcome([policy(text(count))])).toBe('allow');
  expect(await outcome([policy(text(count + 1))])).toBe('ERR_CEDAR_TOO_DEEP');
  expect(await outcome([policy(text(6000))])).toBe('ERR_CEDAR_TOO_DEEP');
});

test('chains count together with the brackets that they stand behind', async () => {
  const text = (count: number) => `true || ${nest(20, '[', '1', `]${times(count, '.a')}`)}`;
  expect(await outcome([policy(text(28))])).toBe('allow');
  expect(await outcome([policy(text(29))])).toBe('ERR_CEDAR_TOO_DEEP');
});

test('takes a set of 10,000 elements and a record of 5,000', async () => {
  const set = Array.from({ length: 10_000 }, (_, index) => index).join(',');
  expect(await outcome([policy(`[${set}].contains(9999)`)])).toBe('allow');
  const record = Array.from({ length: 5000 }, (_, index) => `a${index}:1`).join(',');
  expect(await outcome([policy(`{${record}} has a4999`)])).toBe('allow');
  const entities = Array.from({ length: 4000 }, (_, index) => `U::"${index}"`).join(',');
  expect(await outcome([policy(`!(principal in [${entities}])`)])).toBe('allow');
});

test('names such as __proto__ and constructor are names', async () => {
  const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', ''];
  for (const name of names) {
    const quoted = JSON.stringify(name);
    const text = `{${quoted}: 1}[${quoted}] == 1 && {${quoted}: 1} has ${quoted} && !({a: 1} has ${quoted})`;
    expect(await outcome([policy(text)]), name).toBe('allow');
  }
  expect(
    await outcome([policy('!({} has toString.constructor) && {__proto__: 1} has __proto__')]),
  ).toBe('allow');
  const annotated = `@__proto__("x") @constructor ${policy('true').text}`;
  const set = await engine.load([{ id: '__proto__', text: annotated }], undefined);
  expect([...(set.policy('__proto__')?.annotations ?? [])]).toEqual([
    ['__proto__', 'x'],
    ['constructor', ''],
  ]);
});

test('NUL is a character of strings and none of policies', async () => {
  expect(
    await outcome([policy('"a\0b" == "a\\0b" && User::"\0" != User::"" && "\0" like "\\0"')]),
  ).toBe('allow');
  expect(await outcome([policy('true \0')])).toBe('ERR_CEDAR_POLICY_INVALID');
});

test('refuses half a surrogate pair in a policy, an id, a link and a schema', async () => {
  for (const half of ['\ud800', '\udc00', '\udc00\ud800']) {
    expect(await outcome([policy(`"${half}" == ""`)])).toBe('ERR_CEDAR_POLICY_INVALID');
    expect(await outcome([{ ...policy('true'), id: half }])).toBe('ERR_CEDAR_POLICY_INVALID');
    expect(await engine.validate([], `entity A { "${half}": Long };`)).toMatchObject([
      { code: 'ERR_CEDAR_SCHEMA_INVALID' },
    ]);
    const links = [{ id: 'l', template: 't', values: { '?principal': { type: 'U', id: half } } }];
    const templates = [{ id: 't', text: 'permit (principal == ?principal, action, resource);' }];
    expect(await engine.validate([], undefined, { templates, links })).toMatchObject([
      { policy: 'l', code: 'ERR_CEDAR_POLICY_INVALID' },
    ]);
  }
  expect(await outcome([policy('"😀" like "?" || "😀" like "*"')])).toBe('allow');
});

test('comments without end, a lone CR, other spaces and a byte order mark', async () => {
  const forbid = 'forbid (principal, action, resource);';
  expect(
    await outcome([{ id: 'a', text: `${policy('true').text} // ${times(60_000, '/')}` }]),
  ).toBe('allow');
  expect(
    await outcome([{ id: 'a', text: `// permit (principal, action, resource);\r${forbid}` }]),
  ).toBe('deny');
  expect(await outcome([{ id: 'a', text: policy('true').text.replaceAll(' ', '\r') }])).toBe(
    'allow',
  );
  expect(
    await outcome([{ id: 'a', text: policy('true').text.replaceAll(' ', '\u0085\u2028') }]),
  ).toBe('allow');
  expect(await outcome([policy('"a\rb" == ""')])).toBe('ERR_CEDAR_POLICY_INVALID');
  expect(await outcome([{ id: 'a', text: `\ufeff${forbid}` }])).toBe('ERR_CEDAR_POLICY_INVALID');
  expect(await outcome([{ id: 'a', text: '// nothing else' }])).toBe('ERR_CEDAR_POLICY_INVALID');
  expect(await outcome([policy(`"${times(60_000, 'x')}`)])).toBe('ERR_CEDAR_POLICY_INVALID');
});

test("refuses `unknown`, which is for Cedar's own partial evaluation", async () => {
  const [problem] = await engine.validate([policy('unknown("x")')], undefined);
  expect(problem?.message).toContain("our parser refuses what Cedar's own takes");
  expect(await outcome([policy('unknown("x")')])).toBe('ERR_CEDAR_POLICY_INVALID');
});

test('loads 10 MB of policies, and the calling thread is never busy for long', async () => {
  const filler = times(5000, '"0123456789",');
  const sources = Array.from({ length: 160 }, (_, index) => ({
    id: `p${index}`,
    text: `permit (principal == User::"${index}", action, resource) when { [${filler}].contains("${index}") };`,
  }));
  expect(sources.reduce((sum, { text }) => sum + text.length, 0)).toBeGreaterThan(10_000_000);
  const began = performance.now();
  let busyMs = 0;
  let last = began;
  const timer = setInterval(() => {
    busyMs = Math.max(busyMs, performance.now() - last);
    last = performance.now();
  }, 1);
  const { problems } = await engine.load(sources, undefined).then(
    () => ({ problems: [] }),
    (error) => error,
  );
  clearInterval(timer);
  expect(problems).toEqual([]);
  const tookMs = performance.now() - began;
  console.log(`took ${Math.round(tookMs)} ms, busy for ${Math.round(busyMs)} ms at a time`);
  // However busy the machine: reading all of it at once would be a third of the time.
  expect(busyMs).toBeLessThan(tookMs / 6);
  const more = [...sources, ...sources.map((each) => ({ ...each, id: `${each.id}b` }))];
  expect(await engine.validate(more, undefined)).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
}, 120_000);

test('loads 10,000 policies and tells of each wrong one among them', async () => {
  const sources = Array.from({ length: 10_000 }, (_, index) => ({
    id: `p${index}`,
    text:
      index % 1000 === 500
        ? 'permit (principal, action, resource) when { 1 + };'
        : `permit (principal == User::"${index}", action, resource);`,
  }));
  const problems = await engine.validate(sources, SCHEMA);
  expect(problems.map(({ policy: id }) => id)).toEqual(
    Array.from({ length: 10 }, (_, index) => `p${index * 1000 + 500}`),
  );
}, 120_000);
