import type { KeyObject } from 'node:crypto';
import type { Transaction } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';
import type { AuthorityKey, AuthorityKeys } from './authority-keys.ts';
import { type AuthoritySecrets, opens, secretFor, unsealedKey } from './authority-secrets.ts';
import { sealKey } from './sealed-key.ts';
import type { AuthorityKind, AuthoritySlot } from './slot.ts';

/** An authority as the database keeps it, its key in the clear: that never leaves this folder. */
export interface StoredAuthority extends AuthoritySlot {
  readonly kind: AuthorityKind;
  readonly key: AuthorityKey;
  /** DER in base64: the authority's own certificate, then what leads to the upstream's root. Empty for JWT. */
  readonly chain: readonly string[];
  /** Roots of the upstream (DER in base64), or further public JWKs that it shares; none without upstream. */
  readonly shared: readonly (string | Readonly<Record<string, string>>)[];
  /** Of a JWT or token authority: the public JWK with `kid`, `alg` and `use`. */
  readonly jwk?: Readonly<Record<string, string>>;
}

/** By which other processes hear of authorities that changed. */
export const AUTHORITIES_TOPIC = 'identity/authorities';

/** Reads every authority whose key `secrets` open, and opens it. */
export async function readAuthorities(
  database: Pick<Transaction, 'tables'>,
  { secrets, keys }: { readonly secrets: AuthoritySecrets; readonly keys: AuthorityKeys },
): Promise<readonly StoredAuthority[]> {
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('authority')
    .selectAll()
    .orderBy('prepared_ms')
    .orderBy('id')
    .execute();
  const ours = rows.filter(({ kind }) => opens(secrets, kind));
  return ours.map((row): StoredAuthority => {
    const { kind, id, state } = row;
    const key = keys.open(unsealedKey(row.sealed, { kind, name: `${kind} ${id}`, secrets }).kept);
    return {
      ...{ kind, id, state, key },
      chain: JSON.parse(row.chain) as string[],
      shared: JSON.parse(row.shared) as StoredAuthority['shared'],
      notBeforeMs: row.not_before_ms,
      notAfterMs: row.not_after_ms,
      preparedMs: row.prepared_ms,
      ...(row.activated_ms !== null && { activatedMs: row.activated_ms }),
      ...(row.retired_ms !== null && { retiredMs: row.retired_ms }),
      ...(row.tainted_ms !== null && { taintedMs: row.tainted_ms }),
      ...(row.upstream !== null && { upstream: row.upstream }),
      ...(kind !== 'x509' && { jwk: publicJwk(kind, key.publicKey, id) }),
    };
  });
}

/** Makes the rows these and no others. */
export async function writeAuthorities(
  transaction: Transaction,
  {
    before,
    after,
    secrets,
  }: {
    readonly before: readonly StoredAuthority[];
    readonly after: readonly StoredAuthority[];
    readonly secrets: AuthoritySecrets;
  },
): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  const nameOf = ({ kind, id }: StoredAuthority): string => `${kind} ${id}`;
  await transaction.touch(AUTHORITIES_TOPIC);
  const left = new Map(after.map((each) => [nameOf(each), each]));
  const known = new Map(before.map((each) => [nameOf(each), each]));
  for (const [name, { kind, id }] of known) {
    if (left.has(name)) continue;
    await tables.deleteFrom('authority').where('kind', '=', kind).where('id', '=', id).execute();
  }
  // Who retires first: at no moment are there two that issue.
  const changed = after.filter((each) => known.get(nameOf(each)) !== each);
  const isIssuing = ({ state }: StoredAuthority): boolean => state === 'active';
  const ordered = [...changed].sort((a, b) => Number(isIssuing(a)) - Number(isIssuing(b)));
  for (const each of ordered) {
    const row = rowOf(each);
    const { kind, id } = each;
    if (known.has(nameOf(each))) {
      await tables
        .updateTable('authority')
        .set(row)
        .where('kind', '=', kind)
        .where('id', '=', id)
        .execute();
    } else {
      const sealed = sealKey(each.key.kept, {
        secret: secretFor(secrets, kind),
        name: nameOf(each),
      });
      await tables
        .insertInto('authority')
        .values({ ...row, sealed })
        .execute();
    }
  }
}

/** Seals keys of token authorities that an older version wrote as it is done now: under a secret of their own. */
export async function sealTokensAnew(
  transaction: Transaction,
  secrets: AuthoritySecrets,
): Promise<void> {
  const tables = transaction.tables<IdentityTables>();
  const rows = await tables
    .selectFrom('authority')
    .select(['id', 'sealed'])
    .where('kind', '=', 'token')
    .execute();
  for (const { id, sealed: before } of rows) {
    const name = `token ${id}`;
    const { kept, isOlder } = unsealedKey(before, { kind: 'token', name, secrets });
    if (!isOlder) continue;
    const sealed = sealKey(kept, { secret: secretFor(secrets, 'token'), name });
    const ofThis = tables.updateTable('authority').set({ sealed });
    await ofThis.where('kind', '=', 'token').where('id', '=', id).execute();
    await transaction.touch(AUTHORITIES_TOPIC);
  }
}

function rowOf(authority: StoredAuthority): Omit<IdentityTables['authority'], 'sealed'> {
  const { kind, id, state, chain, shared, upstream, notBeforeMs, notAfterMs } = authority;
  return {
    ...{ kind, id, state },
    chain: JSON.stringify(chain),
    shared: JSON.stringify(shared),
    upstream: upstream ?? null,
    not_before_ms: notBeforeMs,
    not_after_ms: notAfterMs,
    prepared_ms: authority.preparedMs,
    activated_ms: authority.activatedMs ?? null,
    retired_ms: authority.retiredMs ?? null,
    tainted_ms: authority.taintedMs ?? null,
  };
}

/** RFC 7517: what a bundle, or the issuer's JWK Set, says of the key. */
export function publicJwk(
  kind: 'jwt' | 'token',
  publicKey: KeyObject,
  kid: string,
): Record<string, string> {
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' }) as Record<string, string>;
  const use = kind === 'jwt' ? 'jwt-svid' : 'sig';
  return { kty, crv, x, y, kid, alg: 'ES256', use } as Record<string, string>;
}
