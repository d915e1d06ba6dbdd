import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openKeyring } from '@countersign/identity';
import { parseSpiffeId } from '@countersign/spiffe';
import { openDatabase } from '@countersign/state';
import { authorityKeys } from '../src/authorities/authority-keys.ts';
import { readAuthorities, type StoredAuthority } from '../src/authorities/authority-rows.ts';
import { secretsOf } from '../src/authorities/authority-secrets.ts';
import { x509AuthorityOf } from '../src/authorities/make-authority.ts';
import { keyring, newKey, pemOf, type TestAuthority, trustDomain } from './authority.ts';

/** What somebody shows in a handshake. */
export interface Shown {
  readonly chain: readonly Uint8Array[];
  readonly keyPem: string;
}

/**
 * The X.509 authorities of a data folder with their keys, as whoever has a backup and its passphrase has them. The room gives them
 * to nobody, so this goes round its front door.
 */
export async function stolenAuthorities(data: string): Promise<readonly StoredAuthority[]> {
  return (await stolenKeys(data)).filter(({ kind }) => kind === 'x509');
}

/** The key that signs access tokens now, as the same thief has it. */
export async function stolenTokenKey(
  data: string,
): Promise<{ readonly kid: string; readonly privateKey: KeyObject }> {
  return activeTokenKey(await stolenKeys(data));
}

/** The same of an authority of a test, with what is in its database. */
export async function tokenKeyOf({ database }: Pick<TestAuthority, 'database'>): Promise<{
  readonly kid: string;
  readonly privateKey: KeyObject;
}> {
  const keys = authorityKeys({ trustDomain, openToken: undefined });
  const secrets = secretsOf(await keyring);
  return activeTokenKey(await readAuthorities(database, { secrets, keys }));
}

function activeTokenKey(authorities: readonly StoredAuthority[]) {
  const active = authorities.find(({ kind, state }) => kind === 'token' && state === 'active');
  const privateKey = active?.key.privateKey;
  if (active === undefined || privateKey === undefined) throw new Error('found no key of tokens');
  return { kid: active.id, privateKey };
}

async function stolenKeys(data: string): Promise<readonly StoredAuthority[]> {
  const passphrase = readFileSync(join(data, 'authority/passphrase'), 'utf8').trim();
  const keyring = await openKeyring({ folder: join(data, 'authority/keys'), passphrase });
  const database = openDatabase({ file: join(data, 'authority/state.db') });
  try {
    const keys = authorityKeys({ trustDomain, openToken: undefined });
    const secrets = secretsOf(keyring);
    return await readAuthorities(database, { secrets, keys });
  } finally {
    await database.close();
  }
}

/** An SVID that a thief made with such a key: it verifies as ours do. */
export async function forgedSvid(stolen: StoredAuthority, spiffeId: string): Promise<Shown> {
  const authority = await x509AuthorityOf(stolen, { trustDomain, now: Date.now });
  const { publicKey, privateKey } = newKey();
  const { chain } = await authority.issueSvid({
    ...{ spiffeId: parseSpiffeId(spiffeId), publicKey, ttlSeconds: 3600 },
  });
  return { chain, keyPem: pemOf(privateKey) };
}
