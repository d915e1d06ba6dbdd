/** Paths below it are a listener's own, and never the application's. */
export const RESERVED_PATH = '/.countersign';

/** What a listener for browsers answers itself. */
export const WEB_PATHS = {
  /** Where people come back to from the issuer. */
  callback: `${RESERVED_PATH}/callback`,
  signIn: `${RESERVED_PATH}/sign-in`,
  logout: `${RESERVED_PATH}/logout`,
} as const;
