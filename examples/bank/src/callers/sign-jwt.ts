import { createHash, createPublicKey, type KeyObject, randomUUID, sign } from 'node:crypto';

/** A compact JWS over JSON claims: ES256 (RFC 7518 §3.4). */
export function signJwt(
  header: Readonly<Record<string, unknown>>,
  claims: Readonly<Record<string, unknown>>,
  key: KeyObject,
): string {
  const signed = [{ ...header, alg: 'ES256' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  // RFC 7518 §3.4: the signature is r and s side by side, not DER.
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** A client assertion (RFC 7523 §3) for the issuer: one use, one minute. */
export function clientAssertion(options: {
  clientId: string;
  issuerUrl: string;
  key: KeyObject;
  now: () => number;
}): string {
  const { clientId, issuerUrl, key, now } = options;
  const iat = Math.floor(now() / 1000);
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: issuerUrl,
    jti: randomUUID(),
    iat,
    exp: iat + 60,
  };
  return signJwt({ typ: 'JWT', kid: `${clientId}-1` }, claims, key);
}

/** A DPoP proof (RFC 9449 §4.2) for one request. */
export function dpopProof(options: {
  method: string;
  /** Absolute; query and fragment are left out of the proof. */
  url: string;
  key: KeyObject;
  /** The access token that it goes with, if any. */
  accessToken?: string;
  nonce?: string;
  now: () => number;
}): string {
  const { method, url, key, accessToken, nonce, now } = options;
  const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: url.split(/[?#]/, 1)[0],
    iat: Math.floor(now() / 1000),
    ...(accessToken === undefined ? {} : { ath: sha256(accessToken) }),
    ...(nonce === undefined ? {} : { nonce }),
  };
  return signJwt({ typ: 'dpop+jwt', jwk: { kty, crv, x, y } }, claims, key);
}

/** SHA-256 in base64url, as `ath` and the record's `tokenHash` have it. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
