import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { firstDifference } from '../src/est/first-difference.ts';
import { printExpression } from '../src/est/print-expression.ts';
import { policyToCedarJson } from '../src/est/to-cedar-json.ts';
import { parsePolicy } from '../src/text/parse-policy.ts';
import { splitPolicies } from '../src/text/split-policies.ts';

// The parser by itself: through the front door what it takes wrongly would hide behind Cedar's own refusal.

const cedar: typeof import('@cedar-policy/cedar-wasm/nodejs') = createRequire(
  import.meta.resolve('@countersign/cedar'),
)('@cedar-policy/cedar-wasm/nodejs');

/** What is odd about what both parsers make of a text; nothing when they agree. */
function disagreement(text: string, { isTemplate }: { isTemplate: boolean }): string | undefined {
  const ours = parsePolicy({ id: 'p', text }, { isTemplate });
  const theirs = isTemplate ? cedar.templateToJson(text) : cedar.policyToJson(text);
  if (theirs.type === 'failure') {
    return ours.problems ? undefined : `only Cedar refuses: ${theirs.errors[0]?.message}`;
  }
  if (ours.problems) return `only we refuse: ${ours.problems[0]?.message}`;
  const place = firstDifference(policyToCedarJson(ours.policy), theirs.json);
  if (place !== undefined) return `different at ${place}`;
  for (const { body } of ours.policy.conditions) {
    const printed = `permit (principal, action, resource) when { ${printExpression(body)} };`;
    const again = parsePolicy({ id: 'p', text: printed }, { isTemplate: false });
    const json = (each: typeof body) =>
      policyToCedarJson({ ...ours.policy, conditions: [{ ...NO_CONDITION, body: each }] });
    const reparsed = again.policy?.conditions[0];
    if (!reparsed || firstDifference(json(body), json(reparsed.body)) !== undefined) {
      return `printed otherwise: ${printed}`;
    }
  }
  return undefined;
}

const NO_CONDITION = { kind: 'when', span: { start: 0, end: 0 } } as const;

const P = 'permit (principal, action, resource)';
const when = (condition: string) => `${P} when { ${condition} };`;

test.each([
  // signs
  '!!!!true',
  '!!!!!true',
  '----1 == 1',
  '-----1 == 1',
  '!-1',
  '-!true',
  '- -1 == 1',
  '-(-1) == 1',
  '-(1) == 1',
  '-1.a == 1',
  '(-1).a == 1',
  '1 - -1 == 2',
  '1--1 == 2',
  '-9223372036854775808 == 1',
  '--9223372036854775808 == 1',
  '-(9223372036854775808) == 1',
  '9223372036854775808 == 1',
  '-9223372036854775808.a == 1',
  '-9223372036854775809 == 1',
  '00000000000000000000000007 == 7',
  '18446744073709551616 == 1',
  // operators
  '1 + 2 * 3 - 4 * 5 * 6 + 7 == 8',
  '1 == 2 == 3',
  '1 < 2 > 3',
  '1 = 1',
  '1 / 1 == 1',
  '1 % 1 == 1',
  '(1 == 2) == 3',
  '1 in 2 in 3',
  '1 == if true then 1 else 2',
  '1 == (if true then 1 else 2)',
  'true && true || false && true || true',
  'if true then if false then 1 else 2 else 3',
  'true && if true then true else true',
  'true ||',
  '&& true',
  'true & true',
  // has, like, is
  'principal has a',
  'principal has "a b"',
  'principal has a.b.c',
  'principal has "a".b',
  'principal has a."b"',
  'principal has (a)',
  'principal has a.if',
  'principal has principal.context',
  'principal has true',
  'principal has __cedar',
  'principal has a.__cedar',
  'principal has "__cedar"',
  'principal has a + 1',
  'principal has a["b"]',
  'principal has a()',
  'principal has N::a',
  'principal has a has b',
  '1 + 1 has a',
  '"a" like "b*\\*\\u{2a}\\x2a"',
  '"a" like ("b")',
  '"a" like b',
  '"a" like "b" like "c"',
  '"\\*" == "*"',
  'principal is T',
  'principal is N::T in resource',
  'principal is (T)',
  'principal is "T"',
  'principal is T::"x"',
  'principal is in',
  'principal is principal',
  'principal is T in resource in action',
  'principal is T in 1 + 1',
  'principal is __cedar::T',
  'principal is T.a',
  // members
  'principal.a.b["c"]["d e"].f == 1',
  'principal.if',
  'principal["if"]',
  'principal.__cedar',
  'principal[a]',
  'principal[("a")]',
  'principal["a" + "b"]',
  'principal.principal',
  'true.a',
  '1.a == 1',
  '"a".b',
  '{}.a',
  '[].a',
  '(principal).a',
  'principal.a()',
  'principal.contains',
  'principal.contains()',
  'principal.contains(1, 2)',
  'principal.contains(1,)',
  'principal.isEmpty()',
  'principal.isEmpty(1)',
  'principal.getTag("a").hasTag("b")',
  'principal()',
  '(1)(2)',
  '[1](2)',
  'a.contains(1)',
  'a',
  'a["b"]',
  'a::b',
  'A::"b".c',
  'principal::"x" == action::A::"y"',
  'if::"x"',
  'A::if::"x"',
  'A::{a: 1}',
  // calls
  'ip("1.1.1.1")',
  'ip()',
  'ip("a", 1)',
  'ip("a").isIpv4(1, 2)',
  'isIpv4(ip("a"))',
  '"a".ip()',
  'N::ip("a")',
  'contains([1], 1)',
  'foo(1)',
  'principal.foo(1)',
  'decimal("1.0").lessThan(decimal("2.0"))',
  'datetime("2024-01-01").offset(duration("1h")).toDate().toTime()',
  'principal.durationSince',
  'error("x")',
  // sets and records
  '[]',
  '[1,]',
  '[,]',
  '[1 2]',
  '[1, [2, {}]]',
  '{}',
  '{a: 1, "b c": 2,}',
  '{a: 1, a: 2}',
  '{a: 1, "a": 2}',
  '{"\\u{61}": 1, a: 2}',
  '{if: 1}',
  '{"if": 1}',
  '{principal: 1}',
  '{N::a: 1}',
  '{1: 1}',
  '{(a): 1}',
  '{__cedar: 1}',
  '{a 1}',
  '{a: if true then 1 else 2}',
  '{__proto__: 1, constructor: 2}',
  // strings and spaces
  '"\\u{1_0}"',
  '"\\u{_1}"',
  '"\\u{1_}"',
  '"\\u{}"',
  '"\\u{0000001}"',
  '"\\u{10FFFF}"',
  '"\\u{110000}"',
  '"\\u{D7FF}\\u{E000}"',
  '"\\u{d800}"',
  '"\\x7F"',
  '"\\x80"',
  '"\\x7"',
  '"\\q"',
  '"\\0\\\'\\""',
  '"a\nb"',
  '"a\rb"',
  '"a\\\nb"',
  '"a\\\rb"',
  '"\u0000\u0007"',
  '"é😀\ufeff"',
  "'a'",
  'true // x',
  'true // x\r',
  'true\u0085\u00a0\u2028\u3000',
  'true\ufeff',
  '?principal == 1',
  '?other == 1',
  'true ?',
  '/* */ true',
  '@a true',
])('agrees with Cedar about the condition %j', (condition) => {
  expect(disagreement(when(condition), { isTemplate: false })).toBeUndefined();
});

const SCOPES = [
  'principal',
  'principal == User::"a"',
  'principal == (User::"a")',
  'principal == ((User::"a"))',
  'principal == [User::"a"]',
  'principal == User',
  'principal == ?principal',
  'principal == (?principal)',
  'principal == ?resource',
  'principal in ?principal',
  'principal in [User::"a"]',
  'principal is User',
  'principal is N::User in User::"a"',
  'principal is User in ?principal',
  'principal is User == User::"a"',
  'principal in User::"a" is User',
  'principal is (User)',
  'principal is principal',
  'principal: User',
  'principal = User::"a"',
  'principal != User::"a"',
  'principal == User::"a" && true',
  'principal == if true then User::"a" else User::"b"',
  'principal == User::"a".b',
  'principal == !User::"a"',
  'principal == User::"\\u{d800}"',
  'principal == __cedar::User::"a"',
  'context',
  'resource',
  '',
];
const ACTIONS = [
  'action',
  'action == Action::"a"',
  'action == (Action::"a")',
  'action == N::M::Action::"a"',
  'action == User::"a"',
  'action == NotAction::"a"',
  'action == Action::N::"a"',
  'action in Action::"a"',
  'action in [Action::"a"]',
  'action in ([Action::"a", (N::Action::"b"),])',
  'action in []',
  'action in [,]',
  'action in [[Action::"a"]]',
  'action in [User::"a"]',
  'action == [Action::"a"]',
  'action == ?action',
  'action in ?principal',
  'action is Action',
  'action: Action',
  'principal',
];

test('agrees with Cedar about every scope', () => {
  for (const isTemplate of [false, true]) {
    for (const scope of SCOPES) {
      for (const text of [
        `permit (${scope}, action, resource);`,
        `permit (principal, action, ${scope.replaceAll('principal', 'resource')});`,
        `permit (principal, action, ${scope.replaceAll('principal', 'resource')},);`,
        `permit (${scope});`,
      ]) {
        expect(disagreement(text, { isTemplate }), text).toBeUndefined();
      }
    }
    for (const action of ACTIONS) {
      const text = `forbid (principal, ${action}, resource);`;
      expect(disagreement(text, { isTemplate }), text).toBeUndefined();
    }
  }
});

test.each([
  '',
  ';',
  P,
  `${P};;`,
  `${P}; ${P};`,
  `${P} when { true }`,
  `${P} when {};`,
  `${P} when true;`,
  `${P} if { true };`,
  `${P} when { true } unless { false } when { true };`,
  `${P} when { true }, when { true };`,
  `allow (principal, action, resource);`,
  `permit (principal, action, resource, context);`,
  `permit (action, principal, resource);`,
  `permit principal, action, resource;`,
  `PERMIT (principal, action, resource);`,
  `permit (principal action, resource);`,
  `permit (principal,, action, resource);`,
  `\ufeff${P};`,
  `${P}; // end`,
  `// start\r${P};`,
  `@a ${P};`,
  `@a("b") ${P};`,
  `@a() ${P};`,
  `@a("b",) ${P};`,
  `@a(b) ${P};`,
  `@a("\\q") ${P};`,
  `@a @a ${P};`,
  `@if("x") @permit @__cedar ${P};`,
  `@"a" ${P};`,
  `@a::b ${P};`,
  `@ a ("b") ${P};`,
  `@__proto__("x") @constructor ${P};`,
  `@a\n(\n"\\u{e9}")\n${P};`,
])('agrees with Cedar about the policy %j', (text) => {
  expect(disagreement(text, { isTemplate: false })).toBeUndefined();
});

const { expression } = fc.letrec<{
  expression: string;
  relation: string;
  operand: string;
  member: string;
}>((tie) => {
  const word = fc.constantFrom(
    'a',
    'if',
    'in',
    'is',
    'principal',
    'context',
    'true',
    'ip',
    'contains',
    '__cedar',
    'User',
    'N::User',
  );
  const text = fc.constantFrom(
    '""',
    '"a"',
    '"*\\*"',
    '"\\u{2a}"',
    '"\\xff"',
    '"é😀"',
    '"__proto__"',
  );
  const args = fc
    .array(tie('expression'), { maxLength: 2, depthIdentifier: 'tree' })
    .map((all) => all.join(', '));
  const join = (operators: readonly string[], operand: fc.Arbitrary<string>) =>
    fc
      .tuple(
        operand,
        fc.array(fc.tuple(fc.constantFrom(...operators), operand), {
          maxLength: 3,
          depthIdentifier: 'tree',
        }),
      )
      .map(([first, rest]) => [first, ...rest.flat()].join(' '));
  return {
    expression: fc.oneof(
      { depthIdentifier: 'tree', maxDepth: 8 },
      { weight: 5, arbitrary: join(['&&', '||'], tie('relation')) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(tie('expression'), tie('expression'), tie('expression'))
          .map(([a, b, c]) => `if ${a} then ${b} else ${c}`),
      },
    ),
    relation: fc.oneof(
      { depthIdentifier: 'tree' },
      { weight: 4, arbitrary: tie('operand') },
      {
        weight: 3,
        arbitrary: fc
          .tuple(
            tie('operand'),
            fc.constantFrom('==', '!=', '<', '<=', '>', '>=', 'in', '='),
            tie('operand'),
          )
          .map((parts) => parts.join(' ')),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            tie('operand'),
            fc.oneof(
              text,
              fc.array(word, { minLength: 1, maxLength: 3 }).map((path) => path.join('.')),
            ),
          )
          .map(([left, path]) => `${left} has ${path}`),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(tie('operand'), text)
          .map(([left, pattern]) => `${left} like ${pattern}`),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(tie('operand'), word, fc.option(tie('operand')))
          .map(
            ([left, type, within]) => `${left} is ${type}${within === null ? '' : ` in ${within}`}`,
          ),
      },
    ),
    operand: join(
      ['+', '-', '*'],
      fc
        .tuple(fc.constantFrom('', '', '', '!', '-', '--', '!!!', '----', '-----'), tie('member'))
        .map((parts) => parts.join('')),
    ),
    member: fc.oneof(
      { depthIdentifier: 'tree' },
      fc.constantFrom(
        'principal',
        'context',
        'true',
        '0',
        '007',
        '9223372036854775807',
        '9223372036854775808',
        '9007199254740993',
        'User::"a"',
        'N::User::"\\n"',
        'a',
      ),
      text,
      tie('expression').map((inner) => `(${inner})`),
      args.map((all) => `[${all}]`),
      fc
        .array(fc.tuple(fc.oneof(word, text), tie('expression')), {
          maxLength: 2,
          depthIdentifier: 'tree',
        })
        .map((fields) => `{${fields.map((field) => field.join(': ')).join(', ')}}`),
      fc
        .tuple(fc.constantFrom('ip', 'decimal', 'duration', 'isIpv4', 'foo'), args)
        .map(([name, all]) => `${name}(${all})`),
      fc.tuple(tie('member'), word).map((parts) => parts.join('.')),
      fc.tuple(tie('member'), text).map(([left, name]) => `${left}[${name}]`),
      fc
        .tuple(
          tie('member'),
          fc.constantFrom(
            'contains',
            'containsAll',
            'isEmpty',
            'getTag',
            'isInRange',
            'offset',
            'foo',
          ),
          args,
        )
        .map(([left, name, all]) => `${left}.${name}(${all})`),
    ),
  };
});

test('agrees with Cedar about conditions of every shape', () => {
  fc.assert(
    fc.property(expression, (condition) => {
      expect(disagreement(when(condition), { isTemplate: false })).toBeUndefined();
    }),
    { numRuns: 5000 },
  );
});

/** Expressions that fail to evaluate, each at another place of the tree. */
const FAILURES = [
  '1 && true',
  'true && 1 && true',
  '(true && true) && (1)',
  'false || (1)',
  '(1 + true) == 2',
  '1 + 2 + true + 3 == 1',
  '1 + (2 + true) == 1',
  '9223372036854775807 + 1 - 1 == 0',
  '2 * 9223372036854775807 * 1 == 0',
  '--9223372036854775808 == 0',
  '---9223372036854775808 == 0',
  '-(true) == 1',
  '!!!1',
  '!(1)',
  'if (1) then true else false',
  '(if true then 1 else 2) && true',
  'principal.a.b.c == 1',
  '(principal.a).b == 1',
  'context.n.a == 1',
  '((context)).r.nope == 1',
  'context["r"]["nope"].x == 1',
  'context.r.a.contains(1)',
  '[1].containsAll(1)',
  '(1).isEmpty()',
  'context.n has a',
  'context.r has a.b.c',
  '(1) like "a"',
  '(1) is User',
  'principal in [User::"a", (1)]',
  'principal is User in 1',
  '1 < true',
  '"a" < ("b")',
  'ip("x").isIpv4() == true',
  'true == (ip("x").isIpv4())',
  'ip()',
  'ip("1.1.1.1").isInRange()',
  '[1, ip("x")] == []',
  '{a: 1 + 1, b: {c: ip("x")}} == 1',
  'principal.getTag("a") == 1',
  'principal.hasTag(1)',
  '"é😀" == "é😀" && (context.nope)',
  'datetime("2024-01-01").offset(1) == 1',
];

test.each(FAILURES)(
  'gives the nodes of %j the spans that the official engine reports',
  (condition) => {
    for (const text of [
      when(condition),
      `${P} unless { true == (${condition}) };`,
      `${P} unless {${condition}} when { 1 };`,
    ]) {
      const answer = cedar.isAuthorized({
        principal: { type: 'User', id: 'a' },
        action: { type: 'Action', id: 'a' },
        resource: { type: 'User', id: 'a' },
        context: { n: 1, r: { a: 1 } },
        policies: { staticPolicies: { p: text } },
        entities: [],
      });
      if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
      const place = answer.response.diagnostics.errors[0]?.error.sourceLocations?.[0];
      const { policy } = parsePolicy({ id: 'p', text }, { isTemplate: false });
      if (!place || !policy) throw new Error(`expected a failure at some place of ${text}`);
      const bytes = Buffer.from(text, 'utf8');
      const [start, end] = [place.start, place.end].map(
        (at) => bytes.subarray(0, at).toString().length,
      );
      const spans = new Set<string>();
      JSON.stringify(policy.conditions, (key, value) => {
        if (key === 'span') spans.add(`${value.start}-${value.end}`);
        return typeof value === 'bigint' ? `${value}` : value;
      });
      expect([...spans], text).toContain(`${start}-${end}`);
    }
  },
);

// cedar-policy/cedar-integration-tests, Apache-2.0, "Copyright Cedar Contributors": read, never copied.
const DATA =
  process.env['CEDAR_CORPUS'] ??
  fileURLToPath(new URL('../../../../shared/data/cedar/', import.meta.url));
const isThere = existsSync(join(DATA, 'corpus-tests.tar.gz'));

test.skipIf(!isThere)(
  'agrees with Cedar about all policies of the official tests',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-cedar-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    for (const archive of ['corpus-tests.tar.gz', 'handwritten.tar.gz']) {
      execFileSync('tar', ['-xzf', join(DATA, archive), '-C', folder, '--wildcards', '*.cedar']);
    }
    let policies = 0;
    for (const name of globSync('**/*.cedar', { cwd: folder })) {
      const file = readFileSync(join(folder, name), 'utf8');
      for (const { text, isTemplate } of splitPolicies(file, { ids: 'position' }).policies) {
        expect(disagreement(text, { isTemplate }), text).toBeUndefined();
        policies += 1;
      }
    }
    expect(policies).toBe(7839);
  },
  120_000,
);
