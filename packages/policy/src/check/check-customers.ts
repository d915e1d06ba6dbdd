import type { Registration } from '@countersign/model';
import { quote } from '../document/describe.ts';
import { didYouMean } from '../document/suggest.ts';
import type { CustomersConfig } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

/**
 * Checks `authority.customers`: each source is a registered workload.
 *
 * @param registrations of all of `identities/`; absent when some of them could not be read
 */
export function checkCustomers(
  { document, authority, trustDomain }: WrittenConfig,
  registrations: readonly Registration[] | undefined,
  { report }: CheckContext,
): CustomersConfig | undefined {
  const customers = authority?.customers;
  if (!document || !customers) return undefined;
  const prefix = `spiffe://${trustDomain}/`;
  const known = new Set(
    registrations?.map(({ subject }) => subject.id.slice(prefix.length)).filter(isWorkload),
  );
  for (const [index, source] of customers.sources.entries()) {
    if (registrations === undefined || known.has(source)) continue;
    report.error(document.at(['authority', 'customers', 'sources', index]), {
      found: `source ${quote(source)}`,
      expected: 'a workload of identities/: only a registered one gets an SVID',
      mend: didYouMean(source, known, 'register it in identities/, or remove it here'),
    });
  }
  return { sources: customers.sources.map((source) => prefix + source) };
}

function isWorkload(id: string): boolean {
  return id.startsWith('workload/');
}
