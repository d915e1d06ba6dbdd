import type { FederationPartner } from '@countersign/model';
import { type Bundle, encodeBundle, parseBundle } from '@countersign/spiffe';
import type { Database, Migration, Transaction } from '@countersign/state';

/** The rows of federation. Times are milliseconds since the epoch. */
export interface FederationTables {
  /** A partner as it was applied (a `FederationPartner` as JSON), its last good bundle, and when its endpoint was last heard. */
  federation_partner: {
    trust_domain: string;
    body: string;
    document: string | null;
    heard_ms: number | null;
  };
}

/** The schema of federation. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-federation',
    statements: [
      `create table federation_partner (
         trust_domain text primary key, body text not null, document text, heard_ms integer
       ) strict`,
    ],
  },
];

/** A bundle that was taken, and when its endpoint last said that it is still so. */
export interface HeldBundle {
  readonly bundle: Bundle;
  readonly heardMs: number;
}

/** A partner, and what is held of it. */
export interface PartnerRow {
  readonly partner: FederationPartner;
  readonly held?: HeldBundle;
}

/** All partners that were applied before. */
export async function readPartners(database: Database): Promise<readonly PartnerRow[]> {
  const rows = await database
    .tables<FederationTables>()
    .selectFrom('federation_partner')
    .selectAll()
    .execute();
  return rows.map(({ trust_domain: trustDomain, body, document, heard_ms }) => ({
    partner: JSON.parse(body) as FederationPartner,
    ...(document !== null && {
      held: { bundle: parseBundle(document, { trustDomain }), heardMs: Number(heard_ms) },
    }),
  }));
}

/** Puts a partner in the place of what was kept of it. */
export async function writePartner(
  transaction: Transaction,
  { partner, held }: PartnerRow,
): Promise<void> {
  await removePartner(transaction, partner.trustDomain);
  await transaction
    .tables<FederationTables>()
    .insertInto('federation_partner')
    .values({
      trust_domain: partner.trustDomain,
      body: JSON.stringify(partner),
      document: held ? encodeBundle(held.bundle) : null,
      heard_ms: held ? held.heardMs : null,
    })
    .execute();
}

/** Forgets a partner. */
export async function removePartner(transaction: Transaction, trustDomain: string): Promise<void> {
  await transaction
    .tables<FederationTables>()
    .deleteFrom('federation_partner')
    .where('trust_domain', '=', trustDomain)
    .execute();
}
