import { subjectFromId } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { Customers } from '../../customers/customers.ts';
import { personByUserName } from '../../people/directory.ts';
import type { PeopleTables } from '../../people/people-tables.ts';
import type { Registry } from '../../registry.ts';
import type { PersonOf } from './with-ciba.ts';

/** Finds whom a client means: by SPIFFE ID, by `human/<id>` or `customer/<id>`, or by the user name of the directory. */
export function personOf(options: {
  readonly database: Database;
  readonly registry: Registry;
  readonly customers: Pick<Customers, 'get'>;
}): PersonOf {
  const { database, registry, customers } = options;
  const asId = (hint: string): string | undefined => {
    const spiffeId = hint.startsWith('spiffe://')
      ? hint
      : `spiffe://${new URL(registry.authorityId).host}/${hint}`;
    try {
      const { kind } = subjectFromId(spiffeId);
      return kind === 'human' || kind === 'customer' ? spiffeId : undefined;
    } catch {
      return undefined;
    }
  };
  return async (hint) => {
    const id = asId(hint);
    if (id !== undefined) return (registry.subject(id) ?? (await customers.get(id))) && id;
    const person = await personByUserName(database.tables<PeopleTables>(), hint);
    return person && registry.subject(person.spiffeId) && person.spiffeId;
  };
}
