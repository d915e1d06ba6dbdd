import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { valueToJson } from '../src/json/value-to-json.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { CedarSet } from '../src/value/cedar-set.ts';
import { EntityUid } from '../src/value/entity-uid.ts';
import { equals } from '../src/value/equals.ts';
import { Datetime, Decimal, Duration, IpAddress } from '../src/value/extension.ts';
import { parseDatetime } from '../src/value/parse-datetime.ts';
import { parseDecimal } from '../src/value/parse-decimal.ts';
import { parseDuration } from '../src/value/parse-duration.ts';
import { parseIp } from '../src/value/parse-ip.ts';
import {
  type ExtensionConstructor,
  printConstructorError,
} from '../src/value/print-constructor-error.ts';
import { printTypeOf, printValue } from '../src/value/print-value.ts';
import type { Value } from '../src/value/value.ts';

const RUNS = Number(process.env['CEDAR_FUZZ_RUNS'] ?? 1000);
const SEED = Number(process.env['CEDAR_FUZZ_SEED'] ?? 20_261_126);

const PARSERS: { readonly [name in ExtensionConstructor]: (text: string) => Value | undefined } = {
  decimal: parseDecimal,
  datetime: parseDatetime,
  duration: parseDuration,
  ip: parseIp,
};

describe('decimal', () => {
  test.each([
    ['0.0', 0],
    ['-0.0', 0],
    ['-0.5', -5000],
    ['1.2345', 12_345],
    ['0000000000000000000001.5', 15_000],
    ['900719925474.0991', 9_007_199_254_740_991],
    ['900719925474.0992', 9_007_199_254_740_992n],
    ['922337203685477.5807', 2n ** 63n - 1n],
    ['-922337203685477.5808', -(2n ** 63n)],
  ])('takes %j as %d ten-thousandths', (text, scaled) => {
    expect(parseDecimal(text)).toEqual(new Decimal(scaled));
  });
  test.each([
    '',
    '-',
    '1',
    '1.',
    '.5',
    '-.5',
    '1.23456',
    '+1.0',
    ' 1.0',
    '1.0 ',
    '1,0',
    '1.0.0',
    '1e1.0',
    '١.٢',
    '922337203685477.5808',
    '-922337203685477.5809',
    '9999999999999999999999.0',
  ])('refuses %j', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });
});

describe('datetime', () => {
  test.each([
    ['1970-01-01', 0],
    ['1970-01-01T00:00:00-0000', 0],
    ['1969-12-31T23:59:59.999Z', -1],
    ['2000-02-29', 951_782_400_000],
    ['2024-02-29T23:59:59.001+2359', 1_709_164_859_001],
    ['0000-01-01', -62_167_219_200_000],
    ['0000-01-01T00:00:00+2359', -62_167_305_540_000],
    ['9999-12-31T23:59:59.999-2359', 253_402_387_139_999],
  ])('takes %j as %d ms', (text, ms) => {
    expect(parseDatetime(text)).toEqual(new Datetime(ms));
  });
  test.each([
    '',
    '2024-1-1',
    '1900-02-29',
    '2023-02-29',
    '2024-00-01',
    '2024-13-01',
    '2024-01-00',
    '2024-04-31',
    '2024-01-01T',
    '2024-01-01T00:00:00',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T23:59:60Z',
    '2024-01-01T00:00:00.1Z',
    '2024-01-01T00:00:00.1234Z',
    '2024-01-01T00:00:00.123',
    '2024-01-01T00:00:00+01:00',
    '2024-01-01T00:00:00+2400',
    '2024-01-01T00:00:00+0060',
    '2024-01-01t00:00:00Z',
    '2024-01-01 00:00:00Z',
    '2024-01-01T00:00:00ZZ',
    '-024-01-01',
    '2024-01-01\n',
    '10000-01-01',
  ])('refuses %j', (text) => {
    expect(parseDatetime(text)).toBeUndefined();
  });
});

describe('duration', () => {
  test.each([
    ['0ms', 0],
    ['-0d', 0],
    ['1d2h3m4s5ms', 93_784_005],
    ['-1d2h3m4s5ms', -93_784_005],
    ['1m1ms', 60_001],
    ['00000000000000000000001s', 1000],
    ['9007199254740991ms', 9_007_199_254_740_991],
    ['9007199254740992ms', 9_007_199_254_740_992n],
    ['106751991167d7h12m55s807ms', 2n ** 63n - 1n],
    ['-106751991167d7h12m55s808ms', -(2n ** 63n)],
  ])('takes %j as %d ms', (text, ms) => {
    expect(parseDuration(text)).toEqual(new Duration(ms));
  });
  test.each([
    '',
    '-',
    '1',
    'd',
    '+1d',
    '--1d',
    '1d ',
    '1.5s',
    '5ms4s',
    '1ms1m',
    '1s1s',
    '1S',
    '106751991167d7h12m55s808ms',
    '-106751991167d7h12m55s809ms',
    `${'9'.repeat(100_000)}d`,
  ])('refuses %.30j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe('ip', () => {
  test.each([
    ['0.0.0.0', 4, 0n, 32],
    ['255.255.255.255', 4, 0xffffffffn, 32],
    ['10.1.2.3/8', 4, 0x0a010203n, 8],
    ['1.2.3.4/0', 4, 0x01020304n, 0],
    ['::', 6, 0n, 128],
    ['::1/127', 6, 1n, 127],
    ['1::', 6, 1n << 112n, 128],
    ['1:2:3:4:5:6:7::', 6, 0x00010002000300040005000600070000n, 128],
    ['::ffff:7f00:1', 6, 0xffff7f000001n, 128],
    ['ABCD:EF01:2345:6789:ABCD:EF01:2345:6789/128', 6, 0xabcdef0123456789abcdef0123456789n, 128],
  ] as const)('takes %j', (text, version, bits, prefix) => {
    expect(parseIp(text)).toEqual(new IpAddress(version, bits, prefix));
  });
  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.0',
    '01.2.3.4',
    '1.2.3.4/33',
    '1.2.3.4/032',
    '1.2.3.4/00',
    '1.2.3.4/',
    '1.2.3.4/+1',
    '1.2.3.4/24/8',
    ' 1.2.3.4',
    '1..2.3',
    ':',
    ':::',
    '1:',
    ':1',
    '12345::',
    'g::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1:2:3:4::5:6:7:8',
    '1::2::3',
    '::/129',
    '::/0128',
    '::1.2.3.4',
    '::ffff:127.0.0.1',
    'fe80::1%eth0',
    '1.2.3.4:80',
    'ABCD:EF01:2345:6789:ABCD:EF01:2345:6789/0128',
  ])('refuses %j', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });
});

/** Texts at the borders, and what they are made of. */
const SHAPES: readonly (readonly [
  ExtensionConstructor,
  texts: readonly string[],
  alphabet: string,
])[] = [
  [
    'decimal',
    ['0.0', '-0.5', '922337203685477.5807', '-922337203685477.5808', '900719925474.0992'],
    '0123456789.-',
  ],
  [
    'datetime',
    [
      '2024-02-29',
      '1900-02-28T23:59:59Z',
      '0000-01-01T00:00:00.000+2359',
      '9999-12-31T23:59:59.999-0000',
    ],
    '0123456789-:T.Z+',
  ],
  [
    'duration',
    ['1d2h3m4s5ms', '-106751991167d7h12m55s808ms', '9007199254740993ms', '1m1ms'],
    '0123456789dhms-',
  ],
  [
    'ip',
    [
      '1.2.3.4/24',
      '255.255.255.255',
      '::1',
      '1:2:3:4:5:6:7::',
      '2001:db8::ffff/127',
      '::ffff:1.2.3.4',
    ],
    '0123456789abF:./',
  ],
];

/** A text of the shapes with a few characters changed. */
const nearBorder = fc.constantFrom(...SHAPES).chain(([name, texts, alphabet]) =>
  fc
    .tuple(
      fc.constantFrom(...texts),
      fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 2 }), fc.constantFrom(...alphabet)), {
        maxLength: 3,
      }),
    )
    .map(([text, edits]) => {
      const characters = [...text];
      for (const [place, removed, added] of edits)
        characters.splice(place % (characters.length + 1), removed, added);
      return [name, characters.join('')] as const;
    }),
);

test(`takes and refuses what the official engine does, in its words (seed ${SEED})`, () => {
  fc.assert(
    fc.property(nearBorder, ([name, text]) => {
      const value = PARSERS[name](text);
      const call = `${name}(${JSON.stringify(text)})`;
      expect(evaluate(`${call} == ${value === undefined ? call : printValue(value)}`)).toBe(
        value === undefined ? printConstructorError(name, text) : 'allow',
      );
    }),
    { seed: SEED, numRuns: RUNS * 3 },
  );
});

test.each<[ExtensionConstructor, string]>([
  ['decimal', '١.٢'],
  ['decimal', '1.23456'],
  ['decimal', '99999999999999999999.12345'],
  ['decimal', 'x'],
  ['datetime', 'x'],
  ['datetime', '2023-02-29'],
  ['datetime', '2024-01-01x'],
  ['datetime', '2024-01-01T24:00:00Z'],
  ['datetime', '2024-01-01T00:00:00+2561'],
  ['datetime', '2024-01-01T00:00:00'],
  ['duration', '1'],
  ['duration', '9223372036854775808ms'],
  ['ip', 'x'],
  ['ip', 'x/8'],
  ['ip', '1.2.3.4/'],
  ['ip', '::/'],
  ['ip', '::/999'],
  ['ip', '::/129'],
  ['ip', '1.2.3.4/032'],
  ['ip', '1.2.3.4/01'],
  ['ip', '1.2.3.4/a'],
  ['ip', '::1.2.3.4'],
  ['ip', 'é'.repeat(22)],
])('says of %s(%j) what the official engine says', (name, text) => {
  expect(PARSERS[name](text)).toBeUndefined();
  expect(printConstructorError(name, text)).toBe(evaluate(`${name}(${JSON.stringify(text)}) == 1`));
});

const extension: fc.Arbitrary<Value> = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((ms) => new Duration(canonical(ms))),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((ms) => new Datetime(canonical(ms))),
  fc.integer({ min: -70_000_000_000_000, max: 260_000_000_000_000 }).map((ms) => new Datetime(ms)),
  fc
    .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    .map((scaled) => new Decimal(canonical(scaled))),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), fc.nat({ max: 32 }))
    .map(([bits, prefix]) => new IpAddress(4, bits, prefix)),
  fc
    .tuple(
      fc.array(fc.constantFrom(0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 }),
      fc.nat({ max: 128 }),
    )
    .map(
      ([groups, prefix]) =>
        new IpAddress(
          6,
          groups.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n),
          prefix,
        ),
    ),
);
const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    extension,
    fc.boolean(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(canonical),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary' }).map((id) => new EntityUid('N::T', id)),
    fc.array(tie('value'), { maxLength: 3 }).map((elements) => CedarSet.of(elements)),
    fc
      .uniqueArray(
        fc.tuple(fc.constantFrom('a', 'b c', '', 'if', '__proto__', 'é'), tie('value')),
        { maxLength: 3, selector: ([name]) => name },
      )
      .map((entries) => CedarRecord.of(entries)),
  ),
})).value;

test('prints what the official engine reads as the same value, as text and as JSON', () => {
  fc.assert(
    fc.property(value, (each) => {
      const call = {
        ...CALL,
        context: { v: numbersOnly(valueToJson(each)) },
        policies: {
          staticPolicies: `permit(principal, action, resource) when { context.v == ${printValue(each)} };`,
        },
      };
      fc.pre(call.context.v !== undefined);
      const answer = cedar.isAuthorized(call as unknown as cedar.AuthorizationCall);
      expect(answer).toMatchObject({ response: { decision: 'allow' } });
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test('prints one text for one value, in whatever order it was made', () => {
  const elements = [
    '\u{1F600}',
    '\u{FFFD}',
    'b',
    10,
    9,
    true,
    new EntityUid('B', 'x'),
    new EntityUid('A', 'y'),
  ];
  const printed = '[true, 9, 10, "b", "\u{FFFD}", "😀", A::"y", B::"x"]';
  expect(printValue(CedarSet.of(elements))).toBe(printed);
  expect(printValue(CedarSet.of(elements.toReversed()))).toBe(printed);
  expect(
    printValue(
      CedarRecord.of([
        ['is', 1],
        ['b', CedarSet.empty],
        ['a', CedarRecord.empty],
      ]),
    ),
  ).toBe('{a: {}, b: [], "is": 1}');
});

test.each([
  ['o\'b"\\', `"o\\'b\\"\\\\"`],
  ['\0\t\n\r\u{7f}', '"\\0\\t\\n\\r\\u{7f}"'],
  ['a b\u{a0}\u{200b}', '"a b\\u{a0}\\u{200b}"'],
  ['\u{301}e\u{301}', '"\\u{301}e\u{301}"'],
  ['😀é\u{e000}', '"😀é\\u{e000}"'],
])('escapes %j as the official engine does', (text, printed) => {
  expect(printValue(text)).toBe(printed);
  // A message that quotes: the attribute of an entity that is not there.
  const message = evaluate(`User::${printed}.x`);
  expect(message).toContain(`User::${printed}`);
});

test.each([
  [true, 'bool'],
  [1, 'long'],
  [2n ** 60n, 'long'],
  ['', 'string'],
  [CedarSet.empty, 'set'],
  [CedarRecord.empty, 'record'],
  [new EntityUid('N::T', 'x'), '(entity of type `N::T`)'],
  [new Decimal(0), 'decimal'],
  [new Datetime(0), 'datetime'],
  [new Duration(0), 'duration'],
  [new IpAddress(4, 0n, 0), 'ipaddr'],
] as const)('names the type of %s as messages do: %s', (each, name) => {
  expect(printTypeOf(each)).toBe(name);
  const wanted = name === 'set' ? 'string' : 'set';
  const condition =
    name === 'set' ? `${printValue(each)} like "x"` : `${printValue(each)}.isEmpty()`;
  expect(evaluate(condition)).toBe(`type error: expected ${wanted}, got ${name}`);
});

test('compares values with what was read', () => {
  expect(equals(new Duration(1), new Datetime(1))).toBe(false);
  expect(equals(parseIp('::1') as Value, parseIp('0:0::1/128') as Value)).toBe(true);
});

const CALL = {
  principal: { type: 'User', id: 'a' },
  action: { type: 'Action', id: 'x' },
  resource: { type: 'User', id: 'a' },
  context: {},
  entities: [],
};

/** `allow`, `deny`, or the message of the error, from the official engine. */
function evaluate(condition: string): string {
  const answer = cedar.isAuthorized({
    ...CALL,
    policies: { staticPolicies: `permit(principal, action, resource) when { ${condition} };` },
  });
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
  const { decision, diagnostics } = answer.response;
  return diagnostics.errors[0]?.error.message ?? decision;
}

function canonical(value: bigint): number | bigint {
  return BigInt.asIntN(54, value) === value && value !== -(2n ** 53n) ? Number(value) : value;
}

/** cedar-wasm takes no bigint: nothing where there is one. */
function numbersOnly(json: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(json));
  } catch {
    return undefined;
  }
}
