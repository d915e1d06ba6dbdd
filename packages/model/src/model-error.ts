/** The closed list of what can be wrong with a noun that crosses a border. */
export type ModelErrorCode =
  | 'ERR_MODEL_EVENT_INVALID'
  | 'ERR_MODEL_FACT_INVALID'
  | 'ERR_MODEL_SIGNAL_INVALID'
  | 'ERR_MODEL_SUBJECT_INVALID';

/** A noun could not be parsed at a border; `code` is stable, the message is for people. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;

  constructor(code: ModelErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ModelError';
    this.code = code;
  }
}
