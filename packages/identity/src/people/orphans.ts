import type { Registration } from '@countersign/model';
import { personsById, type Tables } from './directory.ts';
import { type OwnedRegistration, resolveOwner } from './owned-registrations.ts';
import { enterpriseOf, personOf } from './person.ts';
import type { ScimClient } from './scim/scim-clients.ts';

/** Something at the bank that nobody answers for. */
export interface Orphan {
  readonly kind: 'registration' | 'organisation' | 'person' | 'scim-client';
  /** SPIFFE ID, or the name of the organisation or client. */
  readonly id: string;
  /** As it is written. */
  readonly owner: string;
  /**
   * `owner-left`: a person who is disabled. `owner-unknown`: nobody whom the directory knows, nor a group of it. `owner-ambiguous`: an address that several
   * persons have. `owner-empty`: a group without an enabled person. `manager-left`: an enabled person whose manager is disabled or deleted.
   */
  readonly why: 'owner-left' | 'owner-unknown' | 'owner-ambiguous' | 'owner-empty' | 'manager-left';
  /** Whether it is suspended for that. */
  readonly isSuspended: boolean;
}

const READ_ROWS = 1000;

/** Registrations, partners' organisations, SCIM clients and people without somebody enabled who answers for them. Works with an empty directory: then it is all of them. */
export async function findOrphans(
  tables: Tables,
  {
    registrations,
    owned,
    clients,
    trustDomain,
  }: {
    readonly registrations: readonly Registration[];
    readonly owned: ReadonlyMap<string, OwnedRegistration>;
    readonly clients: readonly ScimClient[];
    readonly trustDomain: string;
  },
): Promise<readonly Orphan[]> {
  const verdicts = new Map<string, Orphan['why'] | undefined>();
  const whyOf = async (owner: string): Promise<Orphan['why'] | undefined> => {
    if (!verdicts.has(owner)) {
      const found = await resolveOwner(tables, owner, trustDomain);
      const why =
        found.kind === 'person'
          ? found.person.enabled
            ? undefined
            : 'owner-left'
          : found.kind === 'group'
            ? found.isActive
              ? undefined
              : 'owner-empty'
            : (`owner-${found.kind}` as const);
      verdicts.set(owner, why);
    }
    return verdicts.get(owner);
  };
  const orphans: Orphan[] = [];
  for (const { subject, owner: written } of registrations) {
    const after = owned.get(subject.id);
    const owner = after?.new_owner ?? written;
    const isSuspended = after?.state === 'suspended';
    const why = isSuspended ? 'owner-left' : await whyOf(owner);
    if (why) orphans.push({ kind: 'registration', id: subject.id, owner, why, isSuspended });
  }
  const organisations = new Map(
    registrations.flatMap(({ organisation }) =>
      organisation ? [[organisation.name, organisation.sponsor] as const] : [],
    ),
  );
  for (const [name, owner] of organisations) {
    const why = await whyOf(owner);
    if (why) orphans.push({ kind: 'organisation', id: name, owner, why, isSuspended: false });
  }
  for (const { name, owner } of clients) {
    const why = await whyOf(owner);
    if (why) orphans.push({ kind: 'scim-client', id: name, owner, why, isSuspended: false });
  }
  orphans.push(...(await withoutManager(tables)));
  return orphans;
}

async function withoutManager(tables: Tables): Promise<Orphan[]> {
  const orphans: Orphan[] = [];
  for (let after = 0; ; ) {
    const rows = await tables
      .selectFrom('person')
      .selectAll()
      .where('enabled', '=', 1)
      .where('position', '>', after)
      .orderBy('position')
      .limit(READ_ROWS)
      .execute();
    const named = rows.flatMap((row) => {
      const person = personOf(row);
      const manager = enterpriseOf(person)['manager'] as { value?: string } | undefined;
      return manager?.value === undefined ? [] : [{ person, manager: manager.value }];
    });
    const managers = new Map(
      (
        await personsById(
          tables,
          named.map(({ manager }) => manager),
        )
      ).map((each) => [each.id, each]),
    );
    for (const { person, manager } of named) {
      const found = managers.get(manager);
      if (found?.enabled) continue;
      orphans.push({
        kind: 'person',
        id: person.spiffeId,
        owner: found?.spiffeId ?? manager,
        why: 'manager-left',
        isSuspended: false,
      });
    }
    after = rows.at(-1)?.position ?? 0;
    if (rows.length < READ_ROWS) return orphans;
  }
}
