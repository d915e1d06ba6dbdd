import { Buffer } from 'node:buffer';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt, parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import { isJwtSignature, isKeyFor, JWT_ALGORITHMS } from './jwt-algorithm.ts';
import type { JwtAuthority } from './jwt-key.ts';

/** Where the JWT authorities of a trust domain are found; a `Map` is one. */
export interface JwtBundleSource {
  /** Undefined when the trust domain is not known. */
  get(trustDomain: string): readonly JwtAuthority[] | undefined;
}

/** What a JWT-SVID says, proved. */
export interface VerifiedJwtSvid {
  readonly spiffeId: SpiffeId;
  /** All that it is meant for, the verifier among them. */
  readonly audiences: readonly string[];
  readonly expiresAtMs: number;
  readonly keyId: string;
  /** Every claim, as signed. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** How a JWT-SVID is verified. */
export interface JwtSvidVerification {
  /** Who the verifier is: the token must be meant for one of these. */
  readonly audience: string | readonly string[];
  readonly bundles: JwtBundleSource;
  readonly now: () => number;
  /** How far clocks may differ, for `exp` and `nbf`; 0 to 60, 0 when absent. */
  readonly leewaySeconds?: number;
}

/** No SVID comes near; more would only be hashed and parsed for a stranger. */
const TOKEN_LENGTH_MAX = 16_384;
const LEEWAY_SECONDS_MAX = 60;
const HEADERS = new Set(['alg', 'kid', 'typ']);
const TYPES = new Set<unknown>([undefined, 'JWT', 'JOSE']);
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * Verifies a JWT-SVID by SPIFFE's rules.
 *
 * The key is the one that `kid` names in the bundle of the trust domain of `sub`, and no other bundle is looked into,
 * so that no authority can name another's workloads. The algorithm comes from a closed list and must fit that key.
 * Stricter than the specification in that `kid` must be there, and that a `sub` without path is refused.
 *
 * @param token JWS compact serialization, at most 16 KiB
 * @throws {SpiffeError} `ERR_SPIFFE_TOKEN_MALFORMED`, `ERR_SPIFFE_ALGORITHM`, `ERR_SPIFFE_ID_INVALID`,
 *   `ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN`, `ERR_SPIFFE_UNTRUSTED`, `ERR_SPIFFE_EXPIRED`, `ERR_SPIFFE_NOT_YET_VALID`,
 *   `ERR_SPIFFE_AUDIENCE`
 * @see JWT-SVID §2 to §4, RFC 7515 §5.2
 */
export function verifyJwtSvid(token: string, options: JwtSvidVerification): VerifiedJwtSvid {
  const { header, claims, signed, signature } = decode(token);
  const { algorithm, keyId } = readHeader(header);
  const spiffeId = subjectOf(claims);
  const authorities = options.bundles.get(spiffeId.trustDomain);
  if (!authorities) {
    throw new SpiffeError(
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      `could not verify jwt-svid: found trust domain '${spiffeId.trustDomain}', expected one with a bundle`,
    );
  }
  const key = authorities.find((authority) => authority.keyId === keyId)?.publicKey;
  if (!key) {
    throw untrusted(`key ${excerpt(keyId)}`, `one of the ${authorities.length} of its bundle`);
  }
  if (!isKeyFor(algorithm, key)) {
    throw new SpiffeError(
      'ERR_SPIFFE_ALGORITHM',
      `could not verify jwt-svid: found algorithm ${excerpt(String(header['alg']))}, expected one of a key of ${key.asymmetricKeyType} ${key.asymmetricKeyDetails?.namedCurve ?? ''}`,
    );
  }
  if (!isJwtSignature(signature, signed, { algorithm, key })) {
    throw untrusted('a signature that is not of its key', 'one that is');
  }
  const expiresAtMs = requireTimes(claims, options);
  const audiences = requireAudience(claims, options.audience);
  return Object.freeze({
    spiffeId,
    audiences,
    expiresAtMs,
    keyId,
    claims: Object.freeze(claims),
  });
}

type JsonObject = Record<string, unknown>;

function decode(token: string) {
  if (token.length > TOKEN_LENGTH_MAX) {
    throw malformed(`${token.length} characters`, `at most ${TOKEN_LENGTH_MAX}`);
  }
  // JWT-SVID §5.1: compact serialization, three parts, none empty.
  const parts = token.split('.', 4);
  const [header = '', claims = '', signature = ''] = parts;
  if (parts.length !== 3) throw malformed(`${parts.length} parts`, 'three');
  return {
    header: jsonOf(header, 'header'),
    claims: jsonOf(claims, 'claims'),
    signed: `${header}.${claims}`,
    signature: bytesOf(signature, 'signature'),
  };
}

/** RFC 7515 §2: base64url without padding, in its one canonical form. */
function bytesOf(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (BASE64URL.test(text) && bytes.toString('base64url') === text) return bytes;
  throw malformed(`a ${what} that is not base64url`, 'base64url without padding');
}

function jsonOf(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(text, what)));
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause;
    throw malformed(`a ${what} that is no json`, 'an object', cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw malformed(`a ${what} that is no object`, 'an object');
}

function readHeader(header: JsonObject) {
  // JWT-SVID §2: whatever is not described there must not be in the header; `crit`, `jwk` and `jku` are such.
  const strange = Object.keys(header).find((name) => !HEADERS.has(name));
  if (strange !== undefined) throw malformed(`header ${excerpt(strange)}`, 'alg, kid and typ only');
  const { alg, kid, typ } = header;
  const algorithm = typeof alg === 'string' ? JWT_ALGORITHMS.get(alg) : undefined;
  if (!algorithm) {
    throw new SpiffeError(
      'ERR_SPIFFE_ALGORITHM',
      `could not verify jwt-svid: found algorithm ${excerpt(String(alg))}, expected one of ${[...JWT_ALGORITHMS.keys()].join(' ')}`,
    );
  }
  if (!TYPES.has(typ)) throw malformed(`typ ${excerpt(String(typ))}`, "'JWT', 'JOSE' or none");
  if (typeof kid !== 'string' || kid === '') throw malformed('no kid', 'the name of a key');
  return { algorithm, keyId: kid };
}

function subjectOf({ sub }: JsonObject): SpiffeId {
  if (typeof sub !== 'string') throw malformed('no sub', 'a spiffe id');
  const spiffeId = parseSpiffeId(sub);
  if (spiffeId.path !== '') return spiffeId;
  throw new SpiffeError(
    'ERR_SPIFFE_ID_INVALID',
    `could not accept jwt-svid: found sub '${spiffeId.uri}', expected a spiffe id with a path`,
  );
}

/** @returns when it expires */
function requireTimes(
  claims: JsonObject,
  { now, leewaySeconds = 0 }: Pick<JwtSvidVerification, 'now' | 'leewaySeconds'>,
): number {
  if (!(leewaySeconds >= 0 && leewaySeconds <= LEEWAY_SECONDS_MAX)) {
    throw new RangeError(`leewaySeconds is ${leewaySeconds}, expected 0 to ${LEEWAY_SECONDS_MAX}`);
  }
  const { exp, nbf, iat } = claims;
  if (!isTime(exp)) throw malformed('no exp', 'seconds since the epoch');
  if (nbf !== undefined && !isTime(nbf)) throw malformed('an nbf that is no time', 'seconds');
  if (iat !== undefined && !isTime(iat)) throw malformed('an iat that is no time', 'seconds');
  const nowSeconds = now() / 1000;
  // RFC 7519 §4.1.4: on or after exp it is over. Written so that a clock that gives no number opens nothing.
  if (!(nowSeconds < exp + leewaySeconds)) {
    throw new SpiffeError(
      'ERR_SPIFFE_EXPIRED',
      `could not accept jwt-svid: found it valid until ${exp} (seconds since the epoch), expected now before`,
    );
  }
  if (nbf !== undefined && !(nowSeconds >= nbf - leewaySeconds)) {
    throw new SpiffeError(
      'ERR_SPIFFE_NOT_YET_VALID',
      `could not accept jwt-svid: found it valid from ${nbf} (seconds since the epoch), expected now after`,
    );
  }
  return exp * 1000;
}

/** RFC 7519 §2, NumericDate: seconds, fractions allowed. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8_640_000_000_000;
}

function requireAudience({ aud }: JsonObject, audience: string | readonly string[]) {
  const audiences = typeof aud === 'string' ? [aud] : aud;
  if (!Array.isArray(audiences) || !audiences.every((each) => typeof each === 'string')) {
    throw malformed('no aud', 'one or more names');
  }
  const own = typeof audience === 'string' ? [audience] : audience;
  if (own.some((each) => each !== '' && audiences.includes(each))) return Object.freeze(audiences);
  throw new SpiffeError(
    'ERR_SPIFFE_AUDIENCE',
    `could not accept jwt-svid: found audience ${excerpt(audiences.join(' '))}, expected ${excerpt(own.join(' or '))}`,
  );
}

function untrusted(found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_UNTRUSTED',
    `could not verify jwt-svid: found ${found}, expected ${expected}`,
  );
}

function malformed(found: string, expected: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_TOKEN_MALFORMED',
    `could not read jwt-svid: found ${found}, expected ${expected}`,
    { cause },
  );
}
