import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { newEngine } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());
const P = 'permit (principal, action, resource)';

test.each([
  ['nothing', '', []],
  ['a comment only', '// permit (principal, action, resource);', []],
  ['one policy', `@id("a") ${P};`, ['a']],
  ['two on a line', `@id("a") ${P};@id("b") ${P};`, ['a', 'b']],
  ['a comment between annotation and policy', `@id("a") // why\n${P};`, ['a']],
  ['a semicolon and a brace in a string', `@id("a") ${P} when { "};" == "{" };`, ['a']],
  ['a semicolon in a comment', `@id("a") ${P} // ; @id("x")\n;`, ['a']],
  ['an escaped quote', `@id("a\\"b;") ${P};`, ['a"b;']],
  ['escapes in an id', `@id("\\u{e9}\\x41\\n\\t\\0\\'\\\\") ${P};`, ["éA\n\t\0'\\"]],
  ['a slash in a string', `@id("http://x") ${P} when { "//" == "//" };`, ['http://x']],
  ['CRLF', `@id("a")\r\n${P};\r\n// no\r\n@id("b")\r\n${P};\r\n`, ['a', 'b']],
  ['a comment that ends at a lone CR', `// no\r@id("a") ${P};`, ['a']],
  ['other spaces of Unicode', `\u00a0@id("a")\u2028${P};\u0085@id("b") ${P};`, ['a', 'b']],
  ['a byte order mark', `\ufeff@id("a") ${P};`, ['a']],
  ['other annotations around', `@why("x") @id("a") @flag ${P};`, ['a']],
  ['an annotation called id2', `@id2("x") @id("a") ${P};`, ['a']],
  ['unicode', `@id("é😀") ${P} when { "😀;" == "é" };`, ['é😀']],
  ['several lines in a string', `@id("a\nb") ${P};`, ['a\nb']],
])('splits %s', async (_what, text, ids) => {
  const { policies, problems } = await engine.split(text);
  expect(problems).toEqual([]);
  expect(policies.map((policy) => policy.id)).toEqual(ids);
  for (const { text: own, start, end } of policies) {
    expect(text.slice(start, end)).toBe(own);
    expect(own).toMatch(/^@[\s\S]*;$/);
  }
});

test.each([
  ['no @id', `${P};`, 'without @id', 'permit'],
  ['no @id but another annotation', `@x("y") ${P};`, 'without @id', 'permit'],
  ['an @id without value', `@id ${P};`, '@id without a string', 'id'],
  ['an @id of no string', `@id(a) ${P};`, '@id without a string', 'id'],
  ['an @id with a bad escape', `@id("\\u{d800}") ${P};`, '@id without a string', 'id'],
  ['@id twice', `@id("a") @id("b") ${P};`, '@id twice', 'id'],
  ['an empty id', `@id("") ${P};`, 'empty id', `@id("") ${P};`],
  ['no semicolon at the end', `@id("a") ${P}`, 'a semicolon after this', ')'],
  ['no semicolon before a policy', `@id("a") ${P} forbid (x);`, 'next policy', 'forbid'],
  ['no semicolon before annotations', `@id("a") ${P} when {} @b("c") ${P};`, 'next policy', '@'],
  ['a bracket that is not closed', `@id("a") permit (principal;`, "expected a ')'", '('],
  ['a brace that is not closed', `@id("a") ${P} when { (1); @id("b") ${P};`, "a '}' for", '{'],
  ['a bracket in a brace', `@id("a") ${P} when { [1, 2 };`, "expected a ']' for this '['", '['],
  ['single quotes', `@id("a") ${P} when { 'b' };`, 'expected strings in double quotes', "'"],
  ['a string that does not end', `@id("a") ${P}; "x`, 'string without end', '"x'],
  ['a character that is no Cedar', `@id("a") ${P}; #`, 'found "#"', '#'],
  ['an emoji outside a string', `@id("a") ${P}; 😀`, 'found "😀"', '😀'],
  ['a byte order mark in the middle', `@id("a") ${P}; \ufeff`, 'found', '\ufeff'],
])('tells of %s, and where', async (_what, text, message, at) => {
  const { problems } = await engine.split(text);
  const [problem] = problems.filter((each) => each.message.includes(message));
  expect(problem).toMatchObject({ severity: 'error', code: 'ERR_CEDAR_POLICY_INVALID' });
  expect(text.slice(problem?.start, problem?.end)).toBe(at);
});

test.each([
  ['a string without end', `@id("a") ${P} when { "b`],
  ['single quotes', `@id("a") ${P} when { 'b' };`],
  ['one bracket', `@id("a") ${P} when { (1 == 1 };\n@id("b") ${P};`],
  ['one semicolon', `@id("a") ${P}\n@id("b") ${P};`],
])('tells one thing where there is one to mend: %s', async (_what, text) => {
  expect(await engine.split(text)).toMatchObject({ policies: [], problems: [{}] });
});

test('takes words of a policy for what they are where they begin no other', async () => {
  const text = `@permit("x") @forbid @id("a") permit (principal, action, resource)
    when { {permit: 1, forbid: 2} has permit } unless { context.forbid || context has "@" };`;
  expect(await engine.split(text)).toMatchObject({ policies: [{ id: 'a' }], problems: [] });
});

test('lets integers of any size through: their size is for the parser', async () => {
  const text = `@id("a") ${P} when { 9223372036854775807 == 9007199254740993 };`;
  const { policies, problems } = await engine.split(text);
  expect(problems).toEqual([]);
  const set = await engine.load(policies, undefined);
  expect(set.ids).toEqual(['a']);
});

test('tells templates from policies', async () => {
  const text = `@id("a") ${P}; @id("t") permit (principal == ?principal, action, resource);
    @id("b") ${P} when { "?principal" == "" }; // ?resource
    @id("u") permit (principal, action, resource in ?resource);`;
  const { policies, problems } = await engine.split(text);
  expect(problems).toEqual([]);
  expect(policies.map(({ id, isTemplate }) => [id, isTemplate])).toEqual([
    ['a', false],
    ['t', true],
    ['b', false],
    ['u', true],
  ]);
  const templates = policies.filter(({ isTemplate }) => isTemplate);
  const statics = policies.filter(({ isTemplate }) => !isTemplate);
  expect(await engine.validate(statics, undefined, { templates })).toEqual([]);
});

test('names policies by their place in the file, whatever @id says, as official tools do', async () => {
  const policy = (index: number) =>
    index % 5 === 3
      ? 'permit (principal == ?principal, action, resource);'
      : `@id("x") ${P} when { ${index} == 1 };`;
  const text = Array.from({ length: 12 }, (_, index) => policy(index)).join('// and\n');
  const { policies, problems } = await engine.split(text, { ids: 'position' });
  expect(problems).toEqual([]);
  expect(policies.map(({ id }) => id)).toEqual(
    Array.from({ length: 12 }, (_, index) => `policy${index}`),
  );
  for (const { id, text: own, isTemplate } of policies) {
    const index = Number(id.slice('policy'.length));
    expect(own).toBe(policy(index));
    expect(isTemplate).toBe(index % 5 === 3);
  }
});

test('a policy with a problem keeps its place', async () => {
  const { policies, problems } = await engine.split(
    `${P} when { ${'('.repeat(65)} ${')'.repeat(65)} }; ${P};`,
    {
      ids: 'position',
    },
  );
  expect(policies.map(({ id }) => id)).toEqual(['policy1']);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP', policy: 'policy0' }]);
});

test('a duplicate id is told of at the second, and only the first is a policy', async () => {
  const text = `@id("a") ${P}; @id("b") ${P}; @id("a") forbid (principal, action, resource);`;
  const { policies, problems } = await engine.split(text);
  expect(policies.map((policy) => policy.id)).toEqual(['a', 'b']);
  expect(problems).toMatchObject([{ policy: 'a', start: text.lastIndexOf('@id') }]);
});

test('a policy with a problem does not hide the next', async () => {
  const { policies, problems } = await engine.split(`@id("a") ${P} ); @id("b") ${P};`);
  expect(policies.map((policy) => policy.id)).toEqual(['a', 'b']);
  expect(problems).toEqual([]);
  expect(
    await engine.validate(policies, 'entity U; action a appliesTo { principal: U, resource: U };'),
  ).toMatchObject([{ policy: 'a' }]);
});

test('takes a file of 1,048,576 characters and refuses one more', async () => {
  const policy = `@id("a") ${P};`;
  expect((await engine.split(policy.padEnd(1_048_576))).policies).toHaveLength(1);
  const { policies, problems } = await engine.split(policy.padEnd(1_048_577));
  expect(policies).toEqual([]);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
});

test('takes a policy of 65,536 characters and refuses one more', async () => {
  const policy = (length: number) =>
    `@id("a") ${P}${' '.repeat(length - `@id("a") ${P};`.length)};`;
  expect((await engine.split(policy(65_536))).policies).toHaveLength(1);
  const { policies, problems } = await engine.split(policy(65_537));
  expect(policies).toEqual([]);
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP', policy: 'a' }]);
});

test('finds the policies that Cedar finds, whatever stands between and inside them', async () => {
  const cedar: typeof import('@cedar-policy/cedar-wasm/nodejs') = createRequire(
    import.meta.resolve('@countersign/cedar'),
  )('@cedar-policy/cedar-wasm/nodejs');
  const blank = fc.constantFrom(
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\t',
    '\u00a0',
    '\u2028',
    '// ; "\n',
    '// }\r',
    '//\n',
  );
  const body = fc.constantFrom(
    '',
    ' when { "a;b" == "}" }',
    ' when { "\\"" == "//" }',
    ' unless { { "a;": [1] } == 1 }',
    ' when { true } // x\n',
  );
  const policy = fc.tuple(
    fc.constantFrom('permit', 'forbid'),
    fc.array(blank, { minLength: 1, maxLength: 3 }),
    body,
    fc.array(blank, { maxLength: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(policy, { maxLength: 9 }), async (parts) => {
      const text = parts
        .map(
          ([effect, before, inside, after], index) =>
            `${before.join('')}@id("${index}")${effect}(principal${before.join('')},action,resource)${inside}${after.join('')};${after.join('')}`,
        )
        .join('');
      const ours = await engine.split(text);
      expect(ours.problems).toEqual([]);
      expect(ours.policies.map((each) => each.id)).toEqual(parts.map((_, index) => `${index}`));
      const theirs = cedar.policySetTextToParts(text);
      if (theirs.type === 'failure') throw new Error(JSON.stringify(theirs.errors));
      // The ninth is the last that string order leaves in place, which is why we split ourselves.
      const canonical = (policyText: string) => {
        const json = cedar.policyToJson(policyText);
        return json.type === 'success' ? json.json : json;
      };
      expect(ours.policies.map((each) => canonical(each.text))).toEqual(
        theirs.policies.map(canonical),
      );
    }),
    { numRuns: 100 },
  );
});
