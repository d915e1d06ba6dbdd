import { Buffer } from 'node:buffer';
import { type CaSigner, p256PublicKeyInfo } from '../authority/ca-signer.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt, parseTrustDomain, type SpiffeId } from '../spiffe-id.ts';
import { es256Signature } from './es256-signature.ts';
import { type JwtAuthority, jwkThumbprint } from './jwt-key.ts';

/** An issued JWT-SVID: a bearer token, so as secret as a password while it lives. */
export interface JwtSvid {
  readonly spiffeId: SpiffeId;
  /** JWS compact serialization. */
  readonly token: string;
  readonly audiences: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Issues JWT-SVIDs for one trust domain. */
export interface JwtIssuer {
  readonly trustDomain: string;
  /** What verifiers need; put it into the bundle before the first token is issued. */
  readonly authority: JwtAuthority;
  /**
   * Signs a token with `sub`, `aud`, `iat` and `exp`, and nothing else, by ES256.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_ISSUE_REFUSED` for a foreign trust domain, an ID without path, no audience or more
   *   than 16, a life outside its bounds
   */
  issueSvid(request: JwtSvidRequest): Promise<JwtSvid>;
}

/** What a JWT-SVID is to say. */
export interface JwtSvidRequest {
  readonly spiffeId: SpiffeId;
  /** 1 to 16 of 1 to 2048 characters; one is recommended, since each could replay the token to the others. */
  readonly audiences: readonly string[];
  /** 1 second to 1 day; 5 minutes are usual. */
  readonly ttlSeconds: number;
}

/** What an issuer of JWT-SVIDs is made of. */
export interface JwtIssuerOptions {
  readonly trustDomain: string;
  /** ECDSA P-256; not the key of an X.509 authority: the two are rotated and revoked apart. */
  readonly signer: CaSigner;
  /** The `kid`; the key's RFC 7638 thumbprint when absent. */
  readonly keyId?: string;
  readonly now: () => number;
}

const AUDIENCES_MAX = 16;
const AUDIENCE_LENGTH_MAX = 2048;
const TTL_SECONDS_MAX = 86_400;

/**
 * Makes an issuer of JWT-SVIDs of a key.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_ID_INVALID`, `ERR_SPIFFE_ISSUE_REFUSED` for another key than P-256
 * @see JWT-SVID §2 and §3
 */
export function createJwtIssuer(options: JwtIssuerOptions): JwtIssuer {
  const trustDomain = parseTrustDomain(options.trustDomain);
  const { signer, now } = options;
  p256PublicKeyInfo(signer.publicKey);
  const keyId = options.keyId ?? jwkThumbprint(signer.publicKey);
  // JWT-SVID §2.2 leaves kid open; verifiers (go-spiffe, SPIRE, this one) want it.
  const header = base64url(JSON.stringify({ alg: 'ES256', kid: keyId, typ: 'JWT' }));
  return Object.freeze({
    trustDomain,
    authority: Object.freeze({ keyId, publicKey: signer.publicKey }),
    issueSvid: async ({ spiffeId, audiences, ttlSeconds }) => {
      if (spiffeId.trustDomain !== trustDomain || spiffeId.path === '') {
        throw refused(spiffeId.uri, `spiffe://${trustDomain}/<path>`);
      }
      requireAudiences(audiences);
      if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > TTL_SECONDS_MAX) {
        throw refused(
          `a life of ${ttlSeconds} seconds`,
          `whole seconds from 1 to ${TTL_SECONDS_MAX}`,
        );
      }
      const issuedAt = Math.floor(now() / 1000);
      if (!Number.isFinite(issuedAt)) throw refused(`time ${issuedAt}`, 'seconds since the epoch');
      const claims = {
        sub: spiffeId.uri,
        aud: audiences,
        iat: issuedAt,
        exp: issuedAt + ttlSeconds,
      };
      const signed = `${header}.${base64url(JSON.stringify(claims))}`;
      const signature = es256Signature(await signer.sign(Buffer.from(signed, 'latin1')));
      return Object.freeze({
        spiffeId,
        token: `${signed}.${signature.toString('base64url')}`,
        audiences: Object.freeze([...audiences]),
        issuedAtMs: issuedAt * 1000,
        expiresAtMs: (issuedAt + ttlSeconds) * 1000,
      });
    },
  } satisfies JwtIssuer);
}

function requireAudiences(audiences: readonly string[]): void {
  if (audiences.length < 1 || audiences.length > AUDIENCES_MAX) {
    throw refused(`${audiences.length} audiences`, `1 to ${AUDIENCES_MAX}`);
  }
  for (const audience of audiences) {
    if (audience.length < 1 || audience.length > AUDIENCE_LENGTH_MAX) {
      throw refused(`audience ${excerpt(audience)}`, `1 to ${AUDIENCE_LENGTH_MAX} characters`);
    }
  }
}

function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}

function refused(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_ISSUE_REFUSED',
    `could not issue jwt-svid: found ${found}, expected ${expected}`,
  );
}
