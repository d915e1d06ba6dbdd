import type { KeyObject } from 'node:crypto';
import { createJwtIssuer, SpiffeError } from '@countersign/spiffe';
import type { Database, FactLog } from '@countersign/state';
import { firstAuthorityKeysOf, type Keyring } from '../keyring.ts';
import type { IdentityTables } from '../tables.ts';
import { localKey } from './authority-keys.ts';
import { publicJwk, type StoredAuthority } from './authority-rows.ts';
import { x509AuthorityOf } from './make-authority.ts';
import { tokenAuthorityOf } from './token-authority.ts';

/** The one JWT key of before had no end. */
const FOREVER_MS = 8_640_000_000_000_000;

/**
 * The authorities of a database that is older than their rotation: they go on, and are replaced after the life that one has
 * now. None where there are none, or where they are over.
 */
export async function firstAuthorities(options: {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly keyring: Keyring;
  readonly now: () => number;
}): Promise<readonly StoredAuthority[]> {
  const { database, factLog, keyring, now } = options;
  const { trustDomain } = factLog;
  const row = await database
    .tables<IdentityTables>()
    .selectFrom('authority_certificate')
    .select('der')
    .executeTakeFirst();
  if (row === undefined) return [];
  const { x509, jwt } = firstAuthorityKeysOf(keyring);
  const activatedMs = now();
  const common = { state: 'active', shared: [], preparedMs: activatedMs, activatedMs } as const;
  const first: StoredAuthority[] = [];
  // Rows of then do not say who issued them: there was one.
  const mark = (id: string) =>
    database
      .tables<IdentityTables>()
      .updateTable('svid')
      .set({ authority: id })
      .where('authority', 'is', null)
      .execute();
  if (x509) {
    const chain = [Buffer.from(row.der).toString('base64')];
    const authority = await unlessExpired(
      x509AuthorityOf({ chain, key: localKey(x509) }, { trustDomain, now }),
    );
    if (authority) await mark(authority.keyId);
    if (authority)
      first.push({
        ...common,
        ...{ kind: 'x509', id: authority.keyId, key: localKey(x509), chain },
        notBeforeMs: activatedMs,
        notAfterMs: authority.notAfterMs,
      });
  }
  if (jwt) first.push({ ...common, ...firstJwt(jwt, { trustDomain, now }) });
  return first;
}

/** The one key of access tokens of before they rotated: it signs on under its `kid`, so that no token is refused. */
export function firstToken(options: {
  readonly keyring: Keyring;
  readonly now: () => number;
}): readonly StoredAuthority[] {
  const { token } = firstAuthorityKeysOf(options.keyring);
  if (token === undefined) return [];
  const nowMs = options.now();
  const made = tokenAuthorityOf(localKey(token), { nowMs, notAfterMs: FOREVER_MS });
  return [{ ...made, state: 'active', activatedMs: nowMs }];
}

async function unlessExpired<T>(opening: Promise<T>): Promise<T | undefined> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof SpiffeError && error.code === 'ERR_SPIFFE_EXPIRED') return undefined;
    throw error;
  }
}

function firstJwt(
  privateKey: KeyObject,
  { trustDomain, now }: { readonly trustDomain: string; readonly now: () => number },
) {
  const key = localKey(privateKey);
  const { keyId: id } = createJwtIssuer({ trustDomain, signer: key, now }).authority;
  return {
    kind: 'jwt' as const,
    ...{ id, key, chain: [] },
    notBeforeMs: now(),
    notAfterMs: FOREVER_MS,
    jwk: publicJwk('jwt', key.publicKey, id),
  };
}
