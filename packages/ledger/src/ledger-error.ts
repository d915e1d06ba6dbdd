/** The closed list of what can go wrong in a log. */
export type LedgerErrorCode =
  | 'ERR_LEDGER_ENTRY_SIZE'
  | 'ERR_LEDGER_QUEUE_FULL'
  | 'ERR_LEDGER_CLOSED'
  | 'ERR_LEDGER_FAILED'
  | 'ERR_LEDGER_RANGE'
  | 'ERR_LEDGER_OPTION'
  | 'ERR_LEDGER_LOCKED'
  | 'ERR_LEDGER_REMOVED'
  | 'ERR_LEDGER_CORRUPT'
  | 'ERR_LEDGER_KEY_MISMATCH'
  | 'ERR_LEDGER_KEY_INVALID'
  | 'ERR_LEDGER_NOTE_MALFORMED'
  | 'ERR_LEDGER_NOTE_UNVERIFIED'
  | 'ERR_LEDGER_WITNESSES_MISSING'
  | 'ERR_LEDGER_CHECKPOINT_MALFORMED'
  | 'ERR_LEDGER_REQUEST_MALFORMED'
  | 'ERR_LEDGER_PROOF_INVALID'
  | 'ERR_LEDGER_PROOF_MALFORMED'
  | 'ERR_LEDGER_FETCH'
  | 'ERR_LEDGER_EVIDENCE_MALFORMED';

/** Where in a log's files something was found. */
export interface LedgerLocation {
  /** The file's name inside the log's folder. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/** Something that a log could not do; `code` is stable, the message is for people. */
export class LedgerError extends Error {
  readonly code: LedgerErrorCode;
  /** Set for `ERR_LEDGER_CORRUPT`. */
  readonly location: LedgerLocation | undefined;

  constructor(
    code: LedgerErrorCode,
    message: string,
    options?: ErrorOptions & { location?: LedgerLocation },
  ) {
    super(message, options);
    this.name = 'LedgerError';
    this.code = code;
    this.location = options?.location;
  }
}

/** Corruption at a place in a file: never repaired, always told. */
export function corrupt(location: LedgerLocation, found: string): LedgerError {
  return new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `could not read log: ${found} in '${location.file}' at offset ${location.offset}`,
    { location },
  );
}
