/** The closed list of what can go wrong with an enforcement point itself. */
export type EnforcementErrorCode =
  /** The configuration asks for something that this point must not do. */
  | 'ERR_ENFORCEMENT_CONFIG_INVALID'
  /** A listener could not be opened. */
  | 'ERR_ENFORCEMENT_LISTEN_FAILED'
  /** The point is closed, or listens already. */
  | 'ERR_ENFORCEMENT_STATE'
  /** An event could not be appended or did not become durable. */
  | 'ERR_ENFORCEMENT_LOG_UNAVAILABLE';

/** An enforcement point could not do its work; `code` is stable, the message is for people. */
export class EnforcementError extends Error {
  readonly code: EnforcementErrorCode;

  constructor(code: EnforcementErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EnforcementError';
    this.code = code;
  }
}
