import { createHash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { type Clock, compactId } from '@countersign/model';
import { importJWK, SignJWT } from 'jose';
import { accessTokenPrivateJwk, jwkThumbprint, type Keyring } from '../keyring.ts';
import type { Recorder } from '../new-event.ts';

const TTL_SECONDS = 60;

/**
 * Makes an access token for a subject, bound to a key that the caller made for this: it proves at the points themselves that
 * a subject that was cut off gets in nowhere. Good for a minute, without scope, so that it permits nothing; recorded as any token.
 */
export async function issueProbeToken(
  probe: {
    readonly subject: string;
    readonly clientId: string;
    readonly audience: string;
    /** P-256. */
    readonly key: KeyObject;
    readonly by: string;
  },
  options: {
    readonly keyring: Keyring;
    readonly issuerUrl: string;
    readonly record: Recorder;
    readonly now: Clock;
  },
): Promise<string> {
  const { subject, clientId, audience, key, by } = probe;
  const { keyring, issuerUrl, record, now } = options;
  const privateJwk = accessTokenPrivateJwk(keyring);
  const { kid } = keyring.accessTokens;
  const seconds = Math.floor(now() / 1000);
  const jti = compactId();
  const jkt = jwkThumbprint(key.export({ format: 'jwk' }) as Record<string, unknown>);
  const token = await new SignJWT({ client_id: clientId, sid: jti, scope: '', cnf: { jkt } })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
    .setIssuer(issuerUrl)
    .setSubject(subject)
    .setAudience(audience)
    .setJti(jti)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + TTL_SECONDS)
    .sign(await importJWK(privateJwk as JsonWebKey, 'ES256'));
  await record({
    ...{ kind: 'administration', action: 'token-issued', by, target: subject },
    detail: {
      ...{ client: clientId, audience, scope: '', session: jti, binding: 'jkt', isProbe: true },
      jtiHash: createHash('sha256').update(jti).digest('base64url'),
      expiresAtMs: (seconds + TTL_SECONDS) * 1000,
    },
  });
  return token;
}
