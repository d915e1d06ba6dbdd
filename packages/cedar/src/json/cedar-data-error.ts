/** Whose data it was; a closed list. */
export type CedarDataErrorCode =
  | 'ERR_CEDAR_REQUEST_INVALID'
  | 'ERR_CEDAR_ENTITY_INVALID'
  /** Text that is no JSON, or JSON that Cedar has no value for. */
  | 'ERR_CEDAR_JSON_INVALID';

/** A request, an entity or their text could not be read; `code` is stable, the message is for people. */
export class CedarDataError extends Error {
  readonly code: CedarDataErrorCode;
  /** Where in the data, as it is written in JavaScript: `context.devices[2]`; in a text, line and column. */
  readonly path: string;

  constructor(code: CedarDataErrorCode, message: string, path: string) {
    super(message);
    this.name = 'CedarDataError';
    this.code = code;
    this.path = path;
  }
}
