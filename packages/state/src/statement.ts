/** A key that signs statements; the private half may be elsewhere. Ed25519 only. */
export interface StatementSigner {
  readonly kid: string;
  /** Public JWK (RFC 8037): `kty`, `crv`, `x`. */
  readonly publicJwk: Readonly<Record<string, string>>;
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/** What an enforcement point was given when it was set up, and trusts from then on. */
export interface TrustAnchors {
  readonly trustDomain: string;
  /** DER in base64, for connecting to the authority. */
  readonly x509Authorities: readonly string[];
  /** Public JWKs with `kid` that sign facts. */
  readonly factKeys: readonly Readonly<Record<string, string>>[];
  /** Public JWKs with `kid` that sign policy bundles. */
  readonly policyKeys: readonly Readonly<Record<string, string>>[];
}

/** `typ` of a statement of facts. */
export const FACTS_TYPE = 'countersign-facts+jwt';
/** `typ` of a policy bundle. */
export const POLICY_TYPE = 'countersign-policy+jwt';

/** The longest statement, in characters of its compact form: 16 MiB. */
export const STATEMENT_LENGTH_MAX = 16 * 1024 * 1024;
