import type { Span } from './expression.ts';

/**
 * Why a policy could not be evaluated. An expected outcome that may happen at each request, so it carries
 * no stack: it is thrown inside the engine and never leaves it as an exception.
 */
export class EvaluationError {
  /** In the official engine's words. */
  readonly message: string;
  /** Where in the policy's text (a link's: in its template's). */
  readonly span: Span | undefined;

  constructor(message: string, span?: Span) {
    this.message = message;
    this.span = span;
  }
}
