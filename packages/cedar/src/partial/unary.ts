import type { Expression, PatternElement } from '../ast/expression.ts';
import { negate as negateValue } from '../operate/arithmetic.ts';
import { typeError } from '../operate/failure.ts';
import { compilePattern } from '../operate/like.ts';
import { isEmpty as isEmptySet } from '../operate/set-operations.ts';
import { outcomesWith } from './eager.ts';
import { BOOLEAN, ERROR, OTHER } from './outcomes.ts';
import { attempt, type Partial, settle, shapeOfPartial } from './partial.ts';
import { isSetShape } from './shape.ts';

type Unary = Extract<Expression, { kind: 'not' | 'negate' | 'isEmpty' }>;

export function negate(node: Unary, operand: Partial): Partial {
  if (operand.kind === 'failed') return operand;
  if (operand.kind === 'known') return attempt(() => negateValue(operand.value, node));
  return settle(
    { kind: 'negate', span: node.span, operand: operand.expression },
    outcomesWith([operand], OTHER | ERROR),
    { kind: 'long' },
  );
}

export function isEmpty(node: Unary, operand: Partial): Partial {
  if (operand.kind === 'failed') return operand;
  if (operand.kind === 'known') return attempt(() => isEmptySet(operand.value, node));
  const own = isSetShape(shapeOfPartial(operand)) ? BOOLEAN : BOOLEAN | ERROR;
  return settle(
    { kind: 'isEmpty', span: node.span, operand: operand.expression },
    outcomesWith([operand], own),
    { kind: 'boolean' },
  );
}

export function like(node: Extract<Expression, { kind: 'like' }>, operand: Partial): Partial {
  if (operand.kind === 'failed') return operand;
  if (operand.kind === 'known') {
    const { value } = operand;
    return attempt(() => {
      if (typeof value !== 'string') throw typeError('string', value, node.operand.span);
      return matcherOf(node.pattern)(value);
    });
  }
  const own = operand.shape?.kind === 'string' ? BOOLEAN : BOOLEAN | ERROR;
  return settle(
    { kind: 'like', span: node.span, operand: operand.expression, pattern: node.pattern },
    outcomesWith([operand], own),
    { kind: 'boolean' },
  );
}

const matchers = new WeakMap<readonly PatternElement[], (text: string) => boolean>();

function matcherOf(pattern: readonly PatternElement[]): (text: string) => boolean {
  const found = matchers.get(pattern);
  if (found) return found;
  const matcher = compilePattern(pattern);
  matchers.set(pattern, matcher);
  return matcher;
}
