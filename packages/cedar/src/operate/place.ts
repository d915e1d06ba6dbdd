import type { Expression, Span } from '../ast/expression.ts';
import type { Value } from '../value/value.ts';

/** Where an operation stands in its policy, for its errors: its own span, and those of its operands. */
export interface BinaryPlace {
  readonly span: Span;
  readonly left: { readonly span: Span };
  readonly right: { readonly span: Span; readonly elements?: readonly Expression[] };
}

type RecordFields = Extract<Expression, { kind: 'record' }>['fields'];

export interface UnaryPlace {
  readonly span: Span;
  readonly operand: { readonly span: Span; readonly fields?: RecordFields };
}

/** Where an extension call stands: its own span and those of its arguments. */
export interface CallPlace {
  readonly span: Span;
  readonly args: readonly { readonly span: Span }[];
}

/** What an extension function does with as many arguments as it takes. */
export interface ExtensionFunction {
  readonly arity: 1 | 2;
  /** @throws {EvaluationError} for arguments of a wrong type, a text that does not parse, or an overflow */
  call(first: Value, second: Value, place: CallPlace): Value;
}
