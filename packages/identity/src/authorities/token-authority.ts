import { jwkThumbprint } from '../keyring.ts';
import type { AuthorityKey } from './authority-keys.ts';
import { publicJwk, type StoredAuthority } from './authority-rows.ts';

/** A key that signs access tokens and ID tokens (ES256); no upstream has a say in it. */
export function makeTokenAuthority(
  key: AuthorityKey,
  { lifetimeSeconds, now }: { readonly lifetimeSeconds: number; readonly now: () => number },
): StoredAuthority {
  const nowMs = now();
  return tokenAuthorityOf(key, { nowMs, notAfterMs: nowMs + lifetimeSeconds * 1000 });
}

/** The same of a key that there is. */
export function tokenAuthorityOf(
  key: AuthorityKey,
  { nowMs, notAfterMs }: { readonly nowMs: number; readonly notAfterMs: number },
): StoredAuthority {
  const id = jwkThumbprint(key.publicKey.export({ format: 'jwk' }) as Record<string, unknown>);
  return {
    kind: 'token',
    state: 'prepared',
    ...{ id, key, chain: [], shared: [] },
    notBeforeMs: nowMs,
    notAfterMs,
    preparedMs: nowMs,
    jwk: publicJwk('token', key.publicKey, id),
  };
}
