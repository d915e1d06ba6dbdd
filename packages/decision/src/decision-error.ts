/** The closed list of what can go wrong in this room; a refused request or feed line is none of it. */
export type DecisionErrorCode =
  /** A bundle that Cedar does not load, or whose `@challenge` says nothing that can be read. */
  | 'ERR_DECISION_BUNDLE_INVALID'
  /** A fact change that is not the next one. */
  | 'ERR_DECISION_SEQUENCE'
  /** A recorded decision that names no subject, action, resource or context to decide again. */
  | 'ERR_DECISION_EVENT_INCOMPLETE'
  /** The replica's folder cannot be read or written. */
  | 'ERR_DECISION_DISK'
  /** More feed lines wait than a replica holds. */
  | 'ERR_DECISION_OVERLOADED'
  | 'ERR_DECISION_CLOSED';

/** The decision point or its replica failed; `code` is stable, the message is for people. */
export class DecisionError extends Error {
  readonly code: DecisionErrorCode;

  constructor(code: DecisionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DecisionError';
    this.code = code;
  }
}
