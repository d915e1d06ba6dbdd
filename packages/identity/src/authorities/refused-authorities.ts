import type { Fact } from '@countersign/model';
import { certificateThumbprint } from '@countersign/spiffe';
import type { Database, Transaction } from '@countersign/state';
import { REVOCATION_SKEW_MS } from '../revocations.ts';
import type { IdentityTables } from '../tables.ts';
import type { StoredAuthority } from './authority-rows.ts';

/** By which other processes hear of one more. */
const TOPIC = 'identity/refused-authorities';

/**
 * Authorities that an upstream signed, and that are refused by name until their certificate ends: its root stays in the bundle.
 * Whoever has such a key issues on after we forgot it, so these outlive the authorities themselves.
 */
export class RefusedAuthorities {
  #untilMs = new Map<string, number>();

  static async open(database: Database): Promise<RefusedAuthorities> {
    const refused = new RefusedAuthorities();
    await database.follow(TOPIC, async (transaction) => {
      const rows = await transaction
        .tables<IdentityTables>()
        .selectFrom('refused_authority')
        .selectAll()
        .execute();
      refused.#untilMs = new Map(
        rows.map(({ thumbprint, until_ms: untilMs }) => [thumbprint, untilMs]),
      );
    });
    return refused;
  }

  /** SHA-256 (base64url), sorted: of the authorities that are tainted, and of those that were. */
  list(authorities: readonly StoredAuthority[], nowMs: number): readonly string[] {
    const tainted = authorities.filter(isRefusedByName).map(thumbprintOf);
    const forgotten = [...this.#untilMs].filter(([, untilMs]) => untilMs >= nowMs);
    return [...new Set([...tainted, ...forgotten.map(([thumbprint]) => thumbprint)])].sort();
  }

  /** To be written as the authority itself is forgotten. */
  async note(transaction: Transaction, authority: StoredAuthority, nowMs: number): Promise<void> {
    if (!isRefusedByName(authority)) return;
    const tables = transaction.tables<IdentityTables>();
    await tables.deleteFrom('refused_authority').where('until_ms', '<', nowMs).execute();
    const row = { thumbprint: thumbprintOf(authority), until_ms: endOf(authority) };
    await tables
      .insertInto('refused_authority')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await transaction.touch(TOPIC);
    this.#untilMs.set(row.thumbprint, row.until_ms);
  }
}

/** What tells enforcement points of one that is being tainted; nothing where leaving the bundle says it all. */
export function revocationOf(
  authority: StoredAuthority,
  { reason, taintedMs }: { readonly reason: string; readonly taintedMs: number },
): Fact | undefined {
  if (!isRefusedByName({ ...authority, state: 'tainted' })) return undefined;
  return {
    kind: 'revocation',
    target: 'certificate',
    value: thumbprintOf(authority),
    reason,
    atMs: taintedMs,
    untilMs: endOf(authority),
  };
}

function endOf({ notAfterMs }: StoredAuthority): number {
  return notAfterMs + REVOCATION_SKEW_MS;
}

function isRefusedByName({ kind, state, shared }: StoredAuthority): boolean {
  return kind === 'x509' && state === 'tainted' && shared.length > 0;
}

function thumbprintOf({ chain: [certificate = ''] }: StoredAuthority): string {
  return certificateThumbprint(Buffer.from(certificate, 'base64'));
}
