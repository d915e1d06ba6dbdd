import { Buffer } from 'node:buffer';
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { certificateNames, verifyX509Svid } from '@countersign/spiffe';
import { SdkError } from './sdk-error.ts';

/** Who vouches for the trust domain, as the authority told it. */
export interface TrustBundle {
  /** DER. */
  readonly authorities: readonly Uint8Array[];
  /** Grows with every change. */
  readonly sequence: number;
  /** SHA-256 (base64url) of authorities that are refused although a path leads through them to one of the bundle. */
  readonly refused: readonly string[];
}

/** A key that the authority signs facts and bundles with: Ed25519, from `trust.json`. */
export type FactKey = Readonly<Record<string, string>>;

const TYPE = 'countersign-bundle+jwt';
const LENGTH_MAX = 4_000_000;
const AUTHORITIES_MAX = 64;
const TRUST_DOMAIN_LENGTH_MAX = 255;

/**
 * Reads a signed bundle: a compact JWS, EdDSA over Ed25519, by one of the keys.
 *
 * @param options `keys` none: the signature is not looked at, because the connection that it came by is proof enough;
 *   `nonce` must be in it where it is given
 * @throws {SdkError} `ERR_SDK_ANSWER_INVALID`
 * @see RFC 7515 §5.2; RFC 8037 §3.1
 */
export function readTrustBundle(
  jws: string,
  {
    keys,
    trustDomain,
    nonce,
  }: {
    readonly keys: readonly FactKey[];
    readonly trustDomain: string;
    readonly nonce?: string;
  },
): TrustBundle {
  const parts = jws.length <= LENGTH_MAX ? jws.split('.') : [];
  const [head, body, signature] = parts;
  if (parts.length !== 3 || !head || !body || !signature) throw invalid('no compact jws');
  if (keys.length > 0) requireSignature({ head, body, signature }, keys);
  const { trustDomain: named, sequence, x509Authorities, refused = [], nonce: found } = json(body);
  if (
    typeof named !== 'string' ||
    named.length > TRUST_DOMAIN_LENGTH_MAX ||
    named !== trustDomain
  ) {
    throw invalid('another trust domain');
  }
  if (nonce !== undefined && found !== nonce)
    throw invalid('another nonce: it was made for others');
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) throw invalid('no sequence');
  if (!isTexts(x509Authorities) || x509Authorities.length === 0) throw invalid('no authority');
  if (!isTexts(refused)) throw invalid('no list of refused authorities');
  return {
    authorities: x509Authorities.map((each) => new Uint8Array(Buffer.from(each, 'base64'))),
    sequence: sequence as number,
    refused,
  };
}

/** Whether a bundle vouches for a chain of its trust domain. */
export function isVouchedFor(
  chain: readonly Uint8Array[],
  {
    bundle,
    trustDomain,
    now,
  }: {
    readonly bundle: Pick<TrustBundle, 'authorities' | 'refused'>;
    readonly trustDomain: string;
    readonly now: () => number;
  },
): boolean {
  if (
    chain
      .slice(1)
      .flatMap(certificateNames)
      .some((name) => bundle.refused.includes(name))
  ) {
    return false;
  }
  try {
    verifyX509Svid(chain, { bundles: new Map([[trustDomain, bundle.authorities]]), now });
    return true;
  } catch {
    return false;
  }
}

function requireSignature(
  { head, body, signature }: Record<'head' | 'body' | 'signature', string>,
  keys: readonly FactKey[],
): void {
  const { alg, typ, kid, ...others } = json(head);
  // Nothing in it may choose another algorithm or bring a key (RFC 8725 §3.1).
  if (alg !== 'EdDSA' || typ !== TYPE || Object.keys(others).length > 0) {
    throw invalid('another header than alg, kid and typ of a bundle');
  }
  const jwk = keys.find((key) => key['kid'] === kid);
  if (jwk?.['kty'] !== 'OKP' || jwk['crv'] !== 'Ed25519') {
    throw invalid('a key that is not in trust.json');
  }
  const { kty, crv, x } = jwk;
  const key = createPublicKey({ key: { kty, crv, x } as JsonWebKey, format: 'jwk' });
  const signed = Buffer.from(`${head}.${body}`, 'latin1');
  if (!verify(null, signed, key, Buffer.from(signature, 'base64url'))) {
    throw invalid('a signature that is not by its key');
  }
}

function json(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // As below.
  }
  throw invalid('a part that is no json object');
}

function isTexts(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= AUTHORITIES_MAX &&
    value.every((each) => typeof each === 'string' && each.length <= 22_000)
  );
}

function invalid(found: string): SdkError {
  return new SdkError(
    'ERR_SDK_ANSWER_INVALID',
    `could not accept bundle: found ${found}, expected a bundle signed by the authority`,
  );
}
