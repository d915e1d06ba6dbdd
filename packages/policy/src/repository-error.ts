/** The closed list of what this room refuses by throwing; a bank's mistakes are `Problem`s instead. */
export type RepositoryErrorCode =
  | 'ERR_POLICY_BUNDLE_INVALID'
  | 'ERR_POLICY_FOLDER_NOT_EMPTY'
  | 'ERR_POLICY_FOLDER_UNWRITABLE';

/** A repository or bundle could not be taken or made; `code` is stable, the message is for people. */
export class RepositoryError extends Error {
  readonly code: RepositoryErrorCode;

  constructor(code: RepositoryErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RepositoryError';
    this.code = code;
  }
}
