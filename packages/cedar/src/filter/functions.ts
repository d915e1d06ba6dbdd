import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Expression } from '../ast/expression.ts';
import { callExtension, EXTENSION_FUNCTIONS } from '../operate/extension-functions.ts';
import type { Value } from '../value/value.ts';
import type { AddressTest } from './dialect.ts';
import { and, type Predicate, TRUE } from './predicate.ts';
import { type ScalarKind, scalarKind, sqlOfKind } from './scalar.ts';
import { refuse, type Scope } from './scope.ts';
import { type Sql, sql } from './sql.ts';
import { type Alternative, constant, ERROR, type Outcome, outcome, type Term } from './term.ts';

type CallNode = Extract<Expression, { kind: 'call' }>;

/** An extension call, case by case. */
export function call(node: CallNode, args: readonly Outcome[], scope: Scope): Outcome {
  const arity = EXTENSION_FUNCTIONS.get(node.function)?.arity;
  if (arity !== args.length) return ERROR;
  const [first = ERROR, second = NONE] = args;
  let isTotal = first.isTotal && second.isTotal;
  const alternatives: Alternative[] = [];
  for (const one of first.alternatives) {
    for (const other of second.alternatives) {
      const when = and(one.when, other.when);
      const result = apply(node, arity === 2 ? [one.term, other.term] : [one.term], scope);
      if (!result.isTotal) isTotal = false;
      for (const each of result.alternatives) {
        alternatives.push({ when: and(when, each.when), term: each.term });
      }
    }
  }
  return outcome(alternatives, isTotal);
}

/** The second argument of a function that takes one. */
const NONE = constant(false);

function apply(node: CallNode, args: readonly Term[], scope: Scope): Outcome {
  const values = args.flatMap((each) => (each.kind === 'constant' ? [each.value] : []));
  if (values.length === args.length) return applyToKnown(node, values);
  const { function: name } = node;
  if (CONSTRUCTORS.has(name)) {
    const [text] = args;
    if (text && scalarKind(text) === 'string') {
      return refuse(`found '${name}' of a text that the row holds, which SQL parses differently`);
    }
    return ERROR;
  }
  const found = FUNCTIONS.get(name);
  if (!found) return refuse(`found '${name}', which has no SQL`);
  const sqls = found.kinds.map((kind, index) => {
    const argument = args[index];
    return argument && sqlOfKind(argument, kind, scope);
  });
  const [left, right] = sqls;
  if (!left || sqls.includes(undefined)) return ERROR;
  return found.apply(left, right ?? left, scope);
}

function applyToKnown(node: CallNode, values: readonly Value[]): Outcome {
  try {
    return constant(callExtension(node.function, values, node));
  } catch (error) {
    if (error instanceof EvaluationError) return ERROR;
    throw error;
  }
}

const CONSTRUCTORS: ReadonlySet<string> = new Set(['ip', 'decimal', 'datetime', 'duration']);

const DAY_MS = 86_400_000;

interface SqlFunction {
  readonly kinds: readonly ScalarKind[];
  apply(left: Sql, right: Sql, scope: Scope): Outcome;
}

const FUNCTIONS: ReadonlyMap<string, SqlFunction> = new Map([
  ['lessThan', comparison((left, right) => sql`${left} < ${right}`)],
  ['lessThanOrEqual', comparison((left, right) => sql`${left} <= ${right}`)],
  ['greaterThan', comparison((left, right) => sql`${left} > ${right}`)],
  ['greaterThanOrEqual', comparison((left, right) => sql`${left} >= ${right}`)],
  ['isIpv4', addressTest('isIpv4')],
  ['isIpv6', addressTest('isIpv6')],
  ['isLoopback', addressTest('isLoopback')],
  ['isMulticast', addressTest('isMulticast')],
  [
    'isInRange',
    {
      kinds: ['ipaddr', 'ipaddr'],
      apply: (inner, outer, scope) => truth(scope.atom(scope.dialect.isInRange(inner, outer))),
    },
  ],
  [
    'offset',
    {
      kinds: ['datetime', 'duration'],
      apply: (left, right, scope) => checked('+', 'datetime', { left, right, scope }),
    },
  ],
  [
    'durationSince',
    {
      kinds: ['datetime', 'datetime'],
      apply: (left, right, scope) => checked('-', 'duration', { left, right, scope }),
    },
  ],
  [
    'toDate',
    {
      kinds: ['datetime'],
      apply(left, _right, scope) {
        const right = scope.dialect.modulo(left, DAY_MS);
        return checked('-', 'datetime', { left, right, scope });
      },
    },
  ],
  [
    'toTime',
    {
      kinds: ['datetime'],
      apply: (left, _right, scope) => scalar('duration', scope.dialect.modulo(left, DAY_MS)),
    },
  ],
  ['toMilliseconds', { kinds: ['duration'], apply: (left) => scalar('long', left) }],
  ['toSeconds', whole(1000)],
  ['toMinutes', whole(60_000)],
  ['toHours', whole(3_600_000)],
  ['toDays', whole(DAY_MS)],
] satisfies readonly (readonly [string, SqlFunction])[]);

function comparison(compare: (left: Sql, right: Sql) => Sql): SqlFunction {
  return {
    kinds: ['decimal', 'decimal'],
    apply: (left, right, scope) => truth(scope.atom(compare(left, right))),
  };
}

function addressTest(test: AddressTest): SqlFunction {
  return {
    kinds: ['ipaddr'],
    apply: (address, _right, scope) => truth(scope.atom(scope.dialect.addressTest(test, address))),
  };
}

function whole(unitMs: number): SqlFunction {
  return {
    kinds: ['duration'],
    apply: (left, _right, scope) => scalar('long', scope.dialect.divide(left, unitMs)),
  };
}

function truth(holds: Predicate): Outcome {
  return { alternatives: [{ when: TRUE, term: { kind: 'truth', holds } }], isTotal: true };
}

function scalar(type: ScalarKind, value: Sql): Outcome {
  return {
    alternatives: [{ when: TRUE, term: { kind: 'scalar', type, sql: value } }],
    isTotal: true,
  };
}

/** Integers whose result may be beyond i64, which is an error. */
export function checked(
  operator: '+' | '-' | '*',
  type: ScalarKind,
  { left, right, scope }: { readonly left: Sql; readonly right: Sql; readonly scope: Scope },
): Outcome {
  const { value, isInRange } = scope.dialect.arithmetic(operator, left, right);
  return {
    alternatives: [{ when: scope.atom(isInRange), term: { kind: 'scalar', type, sql: value } }],
    isTotal: false,
  };
}
