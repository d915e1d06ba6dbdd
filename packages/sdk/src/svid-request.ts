import { Buffer } from 'node:buffer';
import { type KeyObject, randomUUID, sign } from 'node:crypto';

/** What an enforcement point registers along with its identity. */
export interface SvidRequestExtra {
  /** C2SP note verifier key of the point's log. */
  readonly logVerifierKey?: string;
  /** Public Ed25519 JWK with `kid`, for transaction tokens. */
  readonly transactionKey?: Readonly<Record<string, string>>;
}

/**
 * Writes the request for an SVID: a compact JWS, signed by the new key that it carries. The signature proves that
 * whoever asks holds that key.
 *
 * @see RFC 7515 §7.1, RFC 7518 §3.4
 */
export function svidRequest(
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  {
    trustDomain,
    subject,
    extra,
    nowMs,
  }: {
    readonly trustDomain: string;
    /** Whom the SVID is for, where that is not who asks. */
    readonly subject?: string;
    readonly extra?: SvidRequestExtra | undefined;
    readonly nowMs: number;
  },
): string {
  const { kty, crv, x, y } = keys.publicKey.export({ format: 'jwk' });
  const header = { alg: 'ES256', typ: 'svid-request+jwt', jwk: { kty, crv, x, y } };
  const payload = {
    aud: trustDomain,
    iat: Math.floor(nowMs / 1000),
    jti: randomUUID(),
    ...(subject === undefined ? {} : { sub: subject }),
    ...(extra ? { extra } : {}),
  };
  const signed = `${base64url(header)}.${base64url(payload)}`;
  const signature = sign('sha256', Buffer.from(signed), {
    key: keys.privateKey,
    // RFC 7518 §3.4: r and s side by side, not DER.
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
