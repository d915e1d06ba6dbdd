import { assertNever } from '../ast/assert-never.ts';
import type { BinaryOperator, Expression, PatternElement } from '../ast/expression.ts';
import { EXTENSION_METHODS, isOperatorMethod } from '../text/words.ts';
import { printName, printUid, printValue, quoteText } from '../value/print-value.ts';

/**
 * An expression as Cedar text, on one line, with the parentheses that it needs and no others: parsed again it is
 * the same tree. Values are printed as what makes them; an `error` of a residual as `error("…")`, which is no Cedar.
 */
export function printExpression(expression: Expression): string {
  return print(expression, Strength.Expression);
}

/** How strongly what stands at a place binds: weaker expressions need parentheses there. */
const Strength = {
  Expression: 0,
  Or: 1,
  And: 2,
  Relation: 3,
  Sum: 4,
  Product: 5,
  Unary: 6,
  Member: 7,
} as const;
type Strength = (typeof Strength)[keyof typeof Strength];

function print(expression: Expression, place: Strength): string {
  const text = printBare(expression);
  return strengthOf(expression) < place ? `(${text})` : text;
}

function strengthOf(expression: Expression): Strength {
  switch (expression.kind) {
    case 'if':
      return Strength.Expression;
    case 'or':
      return Strength.Or;
    case 'and':
      return Strength.And;
    case 'has':
    case 'like':
    case 'is':
      return Strength.Relation;
    case 'binary':
      return isOperatorMethod(expression.operator)
        ? Strength.Member
        : operatorStrength(expression.operator);
    case 'not':
    case 'negate':
      return Strength.Unary;
    case 'literal':
    case 'value':
      return isNegative(expression.value) ? Strength.Unary : Strength.Member;
    default:
      return Strength.Member;
  }
}

function operatorStrength(operator: BinaryOperator): keyof typeof OPERAND_PLACES {
  switch (operator) {
    case '+':
    case '-':
      return Strength.Sum;
    case '*':
      return Strength.Product;
    default:
      return Strength.Relation;
  }
}

function isNegative(value: unknown): boolean {
  return (typeof value === 'number' || typeof value === 'bigint') && value < 0;
}

function printBare(expression: Expression): string {
  switch (expression.kind) {
    case 'literal':
    case 'value':
      return printValue(expression.value);
    case 'entity':
      return printUid(expression.uid);
    case 'variable':
      return expression.name;
    case 'not':
      return `!${print(expression.operand, Strength.Member)}`;
    case 'negate':
      return printNegation(expression.operand);
    case 'isEmpty':
      return `${print(expression.operand, Strength.Member)}.isEmpty()`;
    case 'and':
      return `${print(expression.left, Strength.And)} && ${print(expression.right, Strength.Relation)}`;
    case 'or':
      return `${print(expression.left, Strength.Or)} || ${print(expression.right, Strength.And)}`;
    case 'binary':
      return printBinary(expression);
    case 'if':
      return `if ${printExpression(expression.condition)} then ${printExpression(expression.then)} else ${printExpression(expression.otherwise)}`;
    case 'attribute': {
      const name = printName(expression.name);
      const operand = print(expression.operand, Strength.Member);
      return name === expression.name ? `${operand}.${name}` : `${operand}[${name}]`;
    }
    case 'has':
      return `${print(expression.operand, Strength.Sum)} has ${expression.path.map(printName).join('.')}`;
    case 'like':
      return `${print(expression.operand, Strength.Sum)} like "${expression.pattern.map(printPatternElement).join('')}"`;
    case 'is': {
      const { operand, entityType, within } = expression;
      const test = `${print(operand, Strength.Sum)} is ${entityType}`;
      return within ? `${test} in ${print(within, Strength.Sum)}` : test;
    }
    case 'set':
      return `[${expression.elements.map(printExpression).join(', ')}]`;
    case 'record':
      return `{${expression.fields
        .map(([name, value]) => `${printName(name)}: ${printExpression(value)}`)
        .join(', ')}}`;
    case 'call':
      return printCall(expression.function, expression.args);
    case 'error':
      return `error(${quoteText(expression.message)})`;
    default:
      return assertNever(expression);
  }
}

/** `-1` would be the literal, not the negation of one. */
function printNegation(operand: Expression): string {
  const isNumber =
    (operand.kind === 'literal' || operand.kind === 'value') &&
    (typeof operand.value === 'number' || typeof operand.value === 'bigint');
  return isNumber ? `-(${printBare(operand)})` : `-${print(operand, Strength.Member)}`;
}

function printBinary({
  operator,
  left,
  right,
}: {
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}): string {
  if (isOperatorMethod(operator)) {
    return `${print(left, Strength.Member)}.${operator}(${printExpression(right)})`;
  }
  const [leftPlace, rightPlace] = OPERAND_PLACES[operatorStrength(operator)];
  return `${print(left, leftPlace)} ${operator} ${print(right, rightPlace)}`;
}

/** Sums and products group from the left; comparisons do not follow one another. */
const OPERAND_PLACES = {
  [Strength.Relation]: [Strength.Sum, Strength.Sum],
  [Strength.Sum]: [Strength.Sum, Strength.Product],
  [Strength.Product]: [Strength.Product, Strength.Unary],
} as const;

function printCall(name: string, args: readonly Expression[]): string {
  const [receiver, ...others] = args;
  return receiver && EXTENSION_METHODS.has(name)
    ? `${print(receiver, Strength.Member)}.${name}(${others.map(printExpression).join(', ')})`
    : `${name}(${args.map(printExpression).join(', ')})`;
}

function printPatternElement(element: PatternElement): string {
  if (typeof element !== 'string') return '*';
  return quoteText(element).slice(1, -1).replaceAll('*', '\\*');
}
