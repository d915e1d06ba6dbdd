import type { Span } from '../ast/expression.ts';

/**
 * Why an expression has no faithful SQL. Thrown inside the translator, where it ends the policy at hand;
 * it leaves `toSql` as a value.
 */
export class Untranslatable {
  /** What was found and why it has no SQL. */
  readonly reason: string;
  /** The nearest expression; the one who catches it first knows it. */
  span: Span | undefined;

  constructor(reason: string, span?: Span) {
    this.reason = reason;
    this.span = span;
  }
}
