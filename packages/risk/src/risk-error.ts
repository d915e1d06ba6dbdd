/** The closed list of what can go wrong in the risk room; everything else is a value. */
export type RiskErrorCode =
  /** A snapshot is damaged, or was written by another version. */
  | 'ERR_RISK_SNAPSHOT_INVALID'
  /** What a responder did could not be recorded, although it was tried several times. */
  | 'ERR_RISK_RECORD_FAILED'
  /** More signals wait for their response than the responder holds. */
  | 'ERR_RISK_RESPONDER_FULL';

/** Risk could not do its work; `code` is stable, the message is for people. */
export class RiskError extends Error {
  readonly code: RiskErrorCode;

  constructor(code: RiskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RiskError';
    this.code = code;
  }
}
