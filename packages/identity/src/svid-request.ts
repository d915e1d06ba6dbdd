import { createPublicKey, type KeyObject } from 'node:crypto';
import { compactVerify, errors } from 'jose';
import { z } from 'zod';
import { jwkThumbprint } from './keyring.ts';
import { type Refusal, refusal } from './refusal.ts';

/** What a point registers together with its SVID. */
export interface PointKeys {
  /** C2SP verifier key of its log. */
  readonly logVerifierKey?: string;
  readonly transactionKey?: {
    readonly kty: 'OKP';
    readonly crv: 'Ed25519';
    readonly x: string;
    readonly kid: string;
  };
}

/** A request for an SVID, proved to come from the holder of the new key. */
export interface SvidRequest {
  readonly isGranted: true;
  readonly publicKey: KeyObject;
  /** The `jti`; each is taken once. */
  readonly id: string;
  readonly madeAtMs: number;
  /** Whom the SVID is for, when the request says so; else whoever asks. */
  readonly subject?: string;
  readonly extra?: PointKeys;
}

/** How far `iat` may be from now, either way. */
export const REQUEST_AGE_SECONDS_MAX = 60;
const REQUEST_LENGTH_MAX = 16 * 1024;

const base64url = (bytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .length(Math.ceil((bytes * 4) / 3));

// Closed, so that a private member (`d`) is never taken along.
const headerShape = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('svid-request+jwt'),
  jwk: z.strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: base64url(32),
    y: base64url(32),
  }),
});

const payloadShape = z.strictObject({
  aud: z.string(),
  iat: z.number().int().nonnegative(),
  jti: z.string().min(1).max(128),
  sub: z.string().max(2048).optional(),
  extra: z
    .strictObject({
      logVerifierKey: z.string().min(1).max(512).optional(),
      transactionKey: z
        .strictObject({
          kty: z.literal('OKP'),
          crv: z.literal('Ed25519'),
          x: base64url(32),
          kid: z.string().min(1).max(128),
        })
        .optional(),
    })
    .optional(),
});

/**
 * Verifies a request for an SVID: a compact JWS, signed by the very key that is asked for.
 *
 * The signature is the proof of possession that a certificate request gives elsewhere (RFC 2986 §3).
 */
export async function verifySvidRequest(
  jws: string,
  { trustDomain, nowMs }: { readonly trustDomain: string; readonly nowMs: number },
): Promise<SvidRequest | Refusal> {
  if (jws.length > REQUEST_LENGTH_MAX) {
    return refusal('request-malformed', `found ${jws.length} characters`);
  }
  const header = headerShape.safeParse(parsePart(jws, 0));
  if (!header.success) return refusal('request-malformed', z.prettifyError(header.error));
  let publicKey: KeyObject;
  let payload: unknown;
  try {
    publicKey = createPublicKey({ format: 'jwk', key: header.data.jwk });
    await compactVerify(jws, publicKey, { algorithms: ['ES256'] });
    payload = parsePart(jws, 1);
  } catch (error) {
    const isForged = error instanceof errors.JWSSignatureVerificationFailed;
    const detail = error instanceof Error ? error.message : 'unknown cause';
    return refusal(isForged ? 'request-signature' : 'request-malformed', detail);
  }
  const claims = payloadShape.safeParse(payload);
  if (!claims.success) return refusal('request-malformed', z.prettifyError(claims.error));
  const { aud, iat, jti, sub, extra } = claims.data;
  if (aud !== trustDomain) return refusal('request-audience', `found '${aud.slice(0, 200)}'`);
  if (Math.abs(nowMs - iat * 1000) > REQUEST_AGE_SECONDS_MAX * 1000) {
    return refusal('request-time', `found iat ${iat}, expected about ${Math.floor(nowMs / 1000)}`);
  }
  const { transactionKey, logVerifierKey } = extra ?? {};
  // The name is the key's own: so no point can take another's name, nor change the key behind one.
  if (transactionKey !== undefined && transactionKey.kid !== jwkThumbprint(transactionKey)) {
    return refusal('request-extra', 'found a kid that is not the RFC 7638 thumbprint of its key');
  }
  return {
    isGranted: true,
    publicKey,
    id: jti,
    madeAtMs: iat * 1000,
    ...(sub !== undefined && { subject: sub }),
    ...((transactionKey ?? logVerifierKey) !== undefined && {
      extra: {
        ...(logVerifierKey !== undefined && { logVerifierKey }),
        ...(transactionKey !== undefined && { transactionKey }),
      },
    }),
  };
}

function parsePart(jws: string, index: number): unknown {
  try {
    return JSON.parse(Buffer.from(jws.split('.', 3)[index] ?? '', 'base64url').toString());
  } catch {
    return undefined;
  }
}
