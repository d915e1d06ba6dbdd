/** The closed list of what can go wrong in this room. Refusals of callers are values, not these. */
export type IdentityErrorCode =
  /** The passphrase is too short, or does not open the keys. */
  | 'ERR_IDENTITY_PASSPHRASE'
  /** A key file is missing, broken, of the wrong kind, or readable by others than its owner. */
  | 'ERR_IDENTITY_KEY'
  /** Options that cannot be served: a life out of bounds, an issuer that is no plain https origin. */
  | 'ERR_IDENTITY_OPTIONS'
  /** Registrations or points that contradict each other or name foreign subjects. */
  | 'ERR_IDENTITY_REGISTRATION'
  /** A federation that contradicts itself: with our own trust domain, with one twice, or with one that is not declared. */
  | 'ERR_IDENTITY_FEDERATION'
  /** A process cannot be told from others: it has ended, or the system gives no credentials of it. */
  | 'ERR_IDENTITY_ATTESTATION'
  /** An HSM, its PIN or a key in it is not as configured; nothing of it is tried again by itself. */
  | 'ERR_IDENTITY_HSM'
  /** The token is away, or does not answer: worth asking again. */
  | 'ERR_IDENTITY_HSM_UNAVAILABLE'
  /** No X.509, JWT or token authority can issue: the last one has ended and there was no other to be had, or a key does not open. */
  | 'ERR_IDENTITY_AUTHORITY'
  /** An HR feed that cannot be read, or contradicts itself. */
  | 'ERR_IDENTITY_HR_FEED'
  /** Too many operations wait. */
  | 'ERR_IDENTITY_BUSY';

/** Keys, options or registrations are unusable; `code` is stable, the message is for people. */
export class IdentityError extends Error {
  readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IdentityError';
    this.code = code;
  }
}
