/** Whose data it was. */
export type CedarDataErrorCode = 'ERR_CEDAR_REQUEST_INVALID' | 'ERR_CEDAR_ENTITY_INVALID';

/** A request or an entity could not be read; `code` is stable, the message is for people. */
export class CedarDataError extends Error {
  readonly code: CedarDataErrorCode;
  /** Where in the data, as it is written in JavaScript: `context.devices[2]`. */
  readonly path: string;

  constructor(code: CedarDataErrorCode, message: string, path: string) {
    super(message);
    this.name = 'CedarDataError';
    this.code = code;
    this.path = path;
  }
}
