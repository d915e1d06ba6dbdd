import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { repositoryFolder } from './repository-folder.ts';

const FILES = [
  'countersign.yaml',
  'surfaces/accounts.yaml',
  'surfaces/accounts.openapi.yaml',
  'policies/accounts.cedar',
  'policies/schema.cedarschema',
  'policies/tests/accounts.yaml',
  'identities/partners.yaml',
  'entities/accounts.yaml',
  'playbooks/bulk-reading.yaml',
] as const;

/** Pieces that parsers stumble over, beside those of the file itself. */
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ': ',
  '- ',
  '&a ',
  '*a',
  '? ',
  '|',
  '>',
  '!!binary ',
  '"',
  "'",
  '#',
  '\n',
  '\t',
  '\0',
  '\uD800',
  '__proto__: x',
  'constructor: {}',
  '<<: *a',
  '%YAML 1.1\n',
  '---\n',
  '$ref: "#/"',
  '$ref: "#/paths"',
  'null',
  '1e400',
  '0x10',
  '~',
  '::',
  ';',
  '@',
  '//',
  '"\\u{110000}"',
];

/** One change to a text: cut, doubled, swapped, or something put in between. */
const changed = (text: string) =>
  fc
    .tuple(
      fc.nat(text.length),
      fc.nat(40),
      fc.constantFrom('cut', 'double', 'insert', 'replace'),
      fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 8 })),
    )
    .map(([at, length, how, piece]) => {
      const middle = text.slice(at, at + length);
      const put = { cut: '', double: middle + middle, insert: piece + middle, replace: piece }[how];
      return text.slice(0, at) + put + text.slice(at + length);
    });

// Fixed, so that a failure is replayed by running the test again; fast-check prints seed and path.
const SEED = 20_261_122;
/** For each file; `FUZZ_RUNS=500 npx vitest run packages/policy/test/hostile*` looks longer. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 16);

describe('never throws, and never takes for good what a person would not', () => {
  test.each(FILES)('whatever stands in %s', async (file) => {
    await using folder = await repositoryFolder();
    const original = await folder.read(file);
    await fc.assert(
      fc.asyncProperty(changed(original), async (text) => {
        await folder.write(file, text);
        const { repository, problems } = await folder.check();
        const hasErrors = problems.some(({ severity }) => severity === 'error');
        expect(repository === undefined).toBe(hasErrors);
        for (const problem of problems) {
          for (const words of [problem.found, problem.expected, problem.mend]) {
            expect(words).not.toBe('');
            // One line each: a report is read in a terminal, and control characters speak to it.
            expect(words).not.toMatch(/[\p{Cc}]/u);
          }
          if (problem.line !== undefined) expect(problem.line).toBeGreaterThan(0);
          if (problem.column !== undefined) expect(problem.column).toBeGreaterThan(0);
        }
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });

  test.each(FILES)('any bytes in %s are a problem', async (file) => {
    await using folder = await repositoryFolder();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        await folder.write(file, bytes);
        const { problems } = await folder.check();
        // Only what says nothing at all, such as a comment, may pass, and then something else misses it.
        if (problems.length === 0)
          expect(new TextDecoder().decode(bytes)).toMatch(/^(\s*((#|\/\/).*)?)*$/);
      }),
      { seed: SEED, numRuns: RUNS / 2 },
    );
  });
});

describe('stays within its bounds', () => {
  test.each([
    ['brackets that nest', '['.repeat(20_000)],
    ['mappings that nest', '{a: '.repeat(10_000)],
    [
      'block lists that nest',
      Array.from({ length: 2000 }, (_, depth) => `${'  '.repeat(depth)}-\n`)
        .join('')
        .slice(0, 1_000_000),
    ],
    [
      'attributes that nest',
      `- uid: { type: Group, id: g }\n  attributes: { a: ${'['.repeat(200)}${']'.repeat(200)} }\n`,
    ],
    [
      'an attribute that is in itself',
      '- uid: { type: Group, id: g }\n  attributes: &a { a: *a }\n',
    ],
    ['a mapping that merges itself', '- &a\n  uid: { type: Group, id: g }\n  <<: *a\n'],
    ['one long key', `- ${'k'.repeat(500_000)}: 1\n`],
  ])('with %s', async (_, text) => {
    await using folder = await repositoryFolder();
    await folder.write('entities/accounts.yaml', text);
    const { repository, problems } = await folder.check();
    expect(repository).toBeUndefined();
    expect(problems.some(({ file }) => file === 'entities/accounts.yaml')).toBe(true);
    for (const { found } of problems) expect(found.length).toBeLessThan(600);
  });

  test.each([
    [
      'types made of types',
      Array.from({ length: 5000 }, (_, i) => `type T${i + 1} = T${i};`).join('\n'),
    ],
    [
      'types that double',
      `type T0 = { a: Long };${Array.from({ length: 10 }, (_, i) => `type T${i + 1} = { a?: T${i}, b?: T${i} };`).join('\n')} entity Big = { t?: T10 };`,
    ],
    ['a type made of itself', 'type A = { a: A }; entity Big = { a: A };'],
    ['blanks without end', `entity ${' '.repeat(100_000)}`],
    ['names without end', `entity ${'A, '.repeat(5_000)}`],
    ['braces that nest', `entity A = ${'{ a: '.repeat(20_000)}`],
  ])('with a schema of %s', async (_, text) => {
    await using folder = await repositoryFolder();
    await folder.write(
      'policies/schema.cedarschema',
      `${await folder.read('policies/schema.cedarschema')}\n${text}`,
    );
    await folder.check();
  });

  test('with 2,000 entities in a chain', async () => {
    await using folder = await repositoryFolder();
    const lines = Array.from(
      { length: 2000 },
      (_, i) => `- {uid: {type: Group, id: g${i}}, parents: [{type: Group, id: g${i + 1}}]}`,
    );
    await folder.write('entities/chain.yaml', `${lines.join('\n')}\n`);
    expect((await folder.check()).problems).toEqual([]);
    await folder.write(
      'entities/chain.yaml',
      `${lines.join('\n')}\n- {uid: {type: Group, id: g2000}, parents: [{type: Group, id: g0}]}\n`,
    );
    expect((await folder.check()).problems).toMatchObject([
      { found: expect.stringContaining('2001 parents') },
    ]);
  });
});
