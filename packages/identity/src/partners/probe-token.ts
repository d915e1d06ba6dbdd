import { createHash, type KeyObject } from 'node:crypto';
import { type Clock, compactId } from '@countersign/model';
import type { TokenKeys } from '../authorities/token-keys.ts';
import { jwkThumbprint } from '../keyring.ts';
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
    readonly tokenKeys: TokenKeys;
    readonly issuerUrl: string;
    readonly record: Recorder;
    readonly now: Clock;
  },
): Promise<string> {
  const { subject, clientId, audience, key, by } = probe;
  const { tokenKeys, issuerUrl, record, now } = options;
  const seconds = Math.floor(now() / 1000);
  const jti = compactId();
  const jkt = jwkThumbprint(key.export({ format: 'jwk' }) as Record<string, unknown>);
  const header = { alg: 'ES256', typ: 'at+jwt', kid: tokenKeys.activeKid() };
  const claims = {
    ...{ iss: issuerUrl, sub: subject, aud: audience, client_id: clientId, jti },
    ...{ sid: jti, scope: '', cnf: { jkt }, iat: seconds, exp: seconds + TTL_SECONDS },
  };
  const parts = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const signature = await tokenKeys.sign(Buffer.from(parts.join('.'), 'latin1'));
  const token = [...parts, Buffer.from(signature).toString('base64url')].join('.');
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
