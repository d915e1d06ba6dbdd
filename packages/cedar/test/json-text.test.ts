import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCedarJson } from '../src/json/parse-cedar-json.ts';

const SEED = Number(process.env['CEDAR_FUZZ_SEED'] ?? 20_261_126);

function refusal(problem: string): unknown {
  return expect.objectContaining({
    code: 'ERR_CEDAR_JSON_INVALID',
    message: expect.stringContaining(problem),
  });
}

test.each<[string, unknown]>([
  ['9007199254740991', 2 ** 53 - 1],
  ['9007199254740992', 2n ** 53n],
  ['-9007199254740992', -(2n ** 53n)],
  ['9223372036854775807', 2n ** 63n - 1n],
  ['-9223372036854775808', -(2n ** 63n)],
  ['-0', 0],
  [' [ true , false , null , "" , {} , [ ] ] ', [true, false, null, '', {}, []]],
  ['{"a\\u0000\\n\\"": "\\ud83d\\ude00"}', { 'a\0\n"': '😀' }],
])('reads %s', (text, json) => {
  expect(parseCedarJson(text)).toStrictEqual(json);
});

test('`__proto__` is a name like any other', () => {
  const json = parseCedarJson('{"__proto__": {"a": 1}, "constructor": 2}') as object;
  expect(Object.getPrototypeOf(json)).toBe(Object.prototype);
  expect(Object.entries(json)).toEqual([
    ['__proto__', { a: 1 }],
    ['constructor', 2],
  ]);
});

test.each([
  ['', 'found the end at line 1, column 1, expected a value'],
  [
    '{"a": 1,\n "b": 1.5}',
    `found "1.5}" at line 2, column 7, expected a value, and numbers without fraction or exponent`,
  ],
  ['1e3', 'expected a value, and numbers without fraction or exponent'],
  ['1.0', 'expected a value, and numbers without fraction or exponent'],
  ['01', 'expected a value, and numbers'],
  ['+1', 'expected a value, and numbers'],
  ['-', 'expected a value, and numbers'],
  ['NaN', 'expected a value, and numbers'],
  ['9223372036854775808', 'expected an integer of 64 bits'],
  ['-9223372036854775809', 'expected an integer of 64 bits'],
  ['9'.repeat(1_000_000), 'expected an integer of 64 bits'],
  ['{"a": 1, "a": 1}', 'at line 1, column 10, expected each name once'],
  ['{"\\u0061": 1, "a": 1}', 'expected each name once'],
  ['{"__proto__": 1, "__proto__": 1}', 'expected each name once'],
  ['{"a" 1}', "expected ':'"],
  ['{a: 1}', 'expected a name in quotes'],
  ['{"a": 1,}', 'expected a name in quotes'],
  ['{"a": 1', "expected ',' or '}'"],
  ['[1 2]', "expected ',' or ']'"],
  ['[1,]', 'expected a value'],
  ['tru', 'expected a value'],
  ['1 1', 'expected the end'],
  ['"a', 'expected the end of a string'],
  ['"a\\', 'expected the end of a string'],
  ['"\\x"', 'expected a string with the escapes of JSON'],
  ['"\n"', 'expected no control character in a string'],
  ["'a'", 'expected a value'],
  ['\u{feff}1', 'expected a value'],
  ['\u{a0}1', 'expected a value'],
  ['['.repeat(100_000), 'expected at most 72 levels'],
])('refuses %.40j', (text, problem) => {
  expect(() => parseCedarJson(text)).toThrow(refusal(problem));
});

const readable = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }),
    fc.array(tie('json')),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('json')),
  ),
})).json;

test('reads what JSON.parse reads, where both can', () => {
  fc.assert(
    fc.property(readable, (json) => {
      const text = JSON.stringify(json);
      expect(parseCedarJson(text)).toStrictEqual(JSON.parse(text));
    }),
    { seed: SEED },
  );
});

test('refuses what JSON.parse refuses', () => {
  const near = fc
    .tuple(
      fc.constantFrom('{"a":[1,-20,"x\\n"],"b":{"c":null}}', '[true,false,[],{},0]'),
      fc.nat(40),
      fc.nat(2),
      fc.constantFrom(...'{}[]",:\\0-1tn \n'),
    )
    .map(([text, at, removed, added]) => text.slice(0, at) + added + text.slice(at + removed));
  fc.assert(
    fc.property(near, (text) => {
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        expect(() => parseCedarJson(text)).toThrow(refusal(''));
        return;
      }
      // Only the names that come twice are ours to refuse.
      fc.pre(new Set(text.match(/"[a-z]*":/g)).size === (text.match(/"[a-z]*":/g) ?? []).length);
      // As text, in which `-0` is 0, as it is for us.
      expect(JSON.stringify(parseCedarJson(text))).toBe(JSON.stringify(json));
    }),
    { seed: SEED, numRuns: 5000 },
  );
});
