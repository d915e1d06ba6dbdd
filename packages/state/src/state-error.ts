/** The closed list of what can go wrong in this room. */
export type StateErrorCode =
  /** The file or the server cannot be used, or is of another trust domain or a newer version. */
  | 'ERR_STATE_OPEN'
  /** A migration is unknown, out of order or failed; nothing of it was kept. */
  | 'ERR_STATE_MIGRATION'
  /** Too many operations wait, or one waited too long for the only connection. */
  | 'ERR_STATE_BUSY'
  /** The database server is not reached, or lets nobody in. What was being written may or may not be kept. */
  | 'ERR_STATE_UNAVAILABLE'
  /** A statement or a transaction failed; it was rolled back. */
  | 'ERR_STATE_QUERY'
  /** A change that says two things of one key, says nothing, or holds no facts of the model. */
  | 'ERR_STATE_CHANGE_INVALID'
  /** The facts would outgrow a snapshot. */
  | 'ERR_STATE_FACTS_TOO_LARGE'
  /** A sequence was asked for that the history does not hold. */
  | 'ERR_STATE_SEQUENCE'
  /** The history is not the one that this process knows: the database went back. Nothing is appended or vouched for any more. */
  | 'ERR_STATE_HISTORY'
  /** A bundle whose sequence is not above the last one. */
  | 'ERR_STATE_BUNDLE_SEQUENCE'
  /** A signed statement that is not one: form, encoding, header or payload. */
  | 'ERR_STATE_STATEMENT_MALFORMED'
  /** A signed statement larger than the bound. */
  | 'ERR_STATE_STATEMENT_SIZE'
  /** A signed statement of another type than expected. */
  | 'ERR_STATE_STATEMENT_TYPE'
  /** A key that is unknown, ambiguous or not an Ed25519 key. */
  | 'ERR_STATE_STATEMENT_KEY'
  /** A signature that does not verify. */
  | 'ERR_STATE_STATEMENT_SIGNATURE'
  /** A line of the feed longer than the bound. */
  | 'ERR_STATE_LINE_SIZE';

/** Rows, statements or the feed failed; `code` is stable, the message is for people. */
export class StateError extends Error {
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateError';
    this.code = code;
  }
}
