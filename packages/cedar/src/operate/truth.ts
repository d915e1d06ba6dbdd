import type { Span } from '../ast/expression.ts';
import type { Value } from '../value/value.ts';
import { typeError } from './failure.ts';

/** A boolean where Cedar wants one; nothing else is true or false. */
export function asBoolean(value: Value, span: Span): boolean {
  if (typeof value === 'boolean') return value;
  throw typeError('bool', value, span);
}
