import { CedarDataError } from '../json/cedar-data-error.ts';

export function unreadable(message: string, path: string): CedarDataError {
  return new CedarDataError(
    'ERR_CEDAR_REQUEST_INVALID',
    `cannot read the request: ${message}`,
    path,
  );
}

/** Says where in the request a part stands that is read by itself. */
export function readAt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CedarDataError)) throw error;
    throw new CedarDataError('ERR_CEDAR_REQUEST_INVALID', error.message, path);
  }
}
