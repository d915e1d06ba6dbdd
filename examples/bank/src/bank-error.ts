/** The closed list of what can go wrong in the example bank beside answers to callers. */
export type BankErrorCode =
  | 'ERR_BANK_ARGUMENT'
  | 'ERR_BANK_IDENTITY'
  | 'ERR_BANK_JOURNAL'
  | 'ERR_BANK_PARTNER'
  | 'ERR_BANK_REPOSITORY'
  | 'ERR_BANK_RESPONSE'
  | 'ERR_BANK_SIGN_IN'
  | 'ERR_BANK_TOKEN_REFUSED'
  | 'ERR_BANK_TOUR';

/** A part of the example bank could not do its work; `code` is stable, the message is for people. */
export class BankError extends Error {
  readonly code: BankErrorCode;

  constructor(code: BankErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BankError';
    this.code = code;
  }
}
