import type { FederationPartner, Registration } from '@countersign/model';
import { parseSpiffeId } from '@countersign/spiffe';
import { quote } from '../document/describe.ts';
import type { Place, Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import { createNameRegister, type Located } from './repository-source.ts';

/**
 * Holds what identities say of other trust domains against `federation/`: each SPIFFE ID is of a declared partner, never of
 * ours, and registered once, for a partner or workload.
 *
 * @param options.partners absent when some of them could not be read
 */
export function checkFederatedIds(
  registrations: readonly Located<Registration>[],
  options: {
    readonly trustDomain: string;
    readonly partners: readonly FederationPartner[] | undefined;
    readonly report: Report;
  },
): void {
  const { trustDomain, report } = options;
  const partners = options.partners && new Set(options.partners.map((each) => each.trustDomain));
  const names = createNameRegister('SPIFFE ID', report);
  const refuseUndeclared = (name: string, place: Place): void => {
    if (!partners || partners.has(name)) return;
    report.error(place, {
      found: `trust domain '${name}'`,
      expected: 'one of federation/: of others there is no bundle',
      mend: didYouMean(name, partners, `declare it in federation/${name}.yaml`),
    });
  };
  for (const { value, document, path } of registrations) {
    const { subject, spiffeIds = [], federatesWith = [], attestations, client } = value;
    const at = (...more: PropertyKey[]) => document.at([...path, ...more]);
    if (spiffeIds.length > 0 && subject.kind !== 'partner' && subject.kind !== 'workload') {
      report.error(at('spiffeIds'), {
        found: `spiffeIds of a ${subject.kind}`,
        expected:
          'them of a partner or workload: nobody else comes with an SVID of another trust domain',
        mend: 'remove them, or name it partner/…',
      });
    }
    for (const [index, id] of spiffeIds.entries()) {
      const place = at('spiffeIds', index);
      const { trustDomain: other } = parseSpiffeId(id);
      if (other === trustDomain) {
        report.error(place, {
          found: `${quote(id)}, of our own trust domain`,
          expected: "a partner's: who is of ours is called by its own name",
          mend: 'remove it',
        });
      } else if (names.take(id, place)) refuseUndeclared(other, place);
    }
    if (client && isForeign(client.id, trustDomain)) {
      const place = at('client', 'id');
      // As a client and as a caller it is the same subject.
      if (spiffeIds.includes(client.id) || names.take(client.id, place)) {
        refuseUndeclared(parseSpiffeId(client.id).trustDomain, place);
      }
    }
    if (federatesWith.length > 0 && !attestations) {
      report.error(at('federatesWith'), {
        found: 'federatesWith of what no node attests',
        expected: "it beside 'attest': nodes hand the bundles out",
        mend: 'remove it, or say which processes it is',
      });
    }
    for (const [index, name] of federatesWith.entries()) {
      refuseUndeclared(name, at('federatesWith', index));
    }
  }
}

/** A client's name is any name but for those that show SVIDs. */
function isForeign(clientId: string, trustDomain: string): boolean {
  return clientId.startsWith('spiffe://') && !clientId.startsWith(`spiffe://${trustDomain}/`);
}
