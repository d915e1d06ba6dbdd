import { CedarError, type CedarErrorCode } from '../cedar-error.ts';

/** Whose data it was. */
export type CedarDataErrorCode = Extract<
  CedarErrorCode,
  `ERR_CEDAR_${'REQUEST' | 'ENTITY' | 'JSON'}_INVALID`
>;

/** A request, an entity or their text could not be read; `code` is stable, the message is for people. */
export class CedarDataError extends CedarError {
  /** Where in the data, as it is written in JavaScript: `context.devices[2]`; in a text, line and column. */
  readonly path: string;

  constructor(code: CedarDataErrorCode, message: string, path: string) {
    super(code, message);
    this.name = 'CedarDataError';
    this.path = path;
  }
}
