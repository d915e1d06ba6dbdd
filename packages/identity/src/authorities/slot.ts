/**
 * X.509 authorities issue X.509-SVIDs, JWT authorities sign JWT-SVIDs, token authorities sign access tokens and ID tokens; each
 * kind rotates by itself.
 */
export const AUTHORITY_KINDS = ['x509', 'jwt', 'token'] as const;
/** One of {@link AUTHORITY_KINDS}. */
export type AuthorityKind = (typeof AUTHORITY_KINDS)[number];

/**
 * Where an authority is in its life, in SPIRE's words.
 *
 * - `prepared`: in the bundle (of kind `token`: among the issuer's keys), issues nothing yet
 * - `active`: issues; one of a kind
 * - `old`: in the bundle until what it issued is over
 * - `tainted`: in no bundle; what it issued is refused and must be issued again
 */
export type AuthorityState = 'prepared' | 'active' | 'old' | 'tainted';

/** One authority; times are ms since the epoch. */
export interface AuthoritySlot {
  /** Subject key identifier in hexadecimal (X.509) or `kid` (JWT, token). */
  readonly id: string;
  readonly state: AuthorityState;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly preparedMs: number;
  readonly activatedMs?: number;
  /** When it stopped issuing. */
  readonly retiredMs?: number;
  readonly taintedMs?: number;
  /** Where its key is: encrypted in the database, or in a token of an HSM. */
  readonly keyIn?: 'database' | 'hsm';
  /** Who signed it; absent when it is its own root. */
  readonly upstream?: string;
}
