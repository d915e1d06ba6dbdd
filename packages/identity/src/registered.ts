import { pathOfSubject, type Registration } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { RefusalCode } from './refusal.ts';
import type { IdentityTables } from './tables.ts';
import type { KeptRegistration } from './written-registrations.ts';

/** A subject as the operator sees it: what was written of it, and what it holds. */
export interface Registered extends Registration {
  /** Why it gets nothing now; absent when it does. */
  readonly refusal?: RefusalCode;
  /** SVIDs of it that are still valid, those that nodes handed out included. */
  readonly svids: number;
  /** When the last of them ends. */
  readonly notAfterMs?: number;
  /** Where it was made by API and stands in no file of the repository. */
  readonly written?: KeptRegistration;
}

/** All registrations, each with what it holds now, in the order of their names. */
export async function registeredSubjects(
  database: Database,
  options: {
    readonly registrations: readonly Registration[];
    readonly written: readonly KeptRegistration[];
    readonly refusalOf: (spiffeId: string) => RefusalCode | undefined;
    readonly nowMs: number;
  },
): Promise<readonly Registered[]> {
  const { registrations, refusalOf, nowMs } = options;
  const written = new Map(options.written.map((each) => [each.id, each]));
  const rows = await database
    .tables<IdentityTables>()
    .selectFrom('svid')
    .select(({ fn }) => [
      'spiffe_id',
      fn.countAll<number>().as('count'),
      fn.max('not_after_ms').as('last'),
    ])
    .where('not_after_ms', '>', nowMs)
    .groupBy('spiffe_id')
    .execute();
  const held = new Map(rows.map((row) => [row.spiffe_id, row]));
  return registrations
    .map((registration): Registered => {
      const { id } = registration.subject;
      const row = held.get(id);
      const refusal = refusalOf(id);
      const kept = written.get(pathOfSubject(id));
      return {
        ...registration,
        svids: Number(row?.count ?? 0),
        ...(row && { notAfterMs: Number(row.last) }),
        ...(refusal && { refusal }),
        ...(kept && { written: kept }),
      };
    })
    .sort((a, b) => (a.subject.id < b.subject.id ? -1 : 1));
}
