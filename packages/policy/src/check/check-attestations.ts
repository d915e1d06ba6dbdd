import type { Registration } from '@countersign/model';
import { quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { Located } from './repository-source.ts';

/** A workload that is attested nowhere, or by a host that is none, would never get its SVID. */
export function checkAttestations(
  registrations: readonly Located<Registration>[],
  report: Report,
): void {
  const nodes = registrations
    .filter(({ value }) => value.isNode)
    .map(({ value }) => value.subject.id);
  for (const { value, document, path } of registrations) {
    const at = (...more: PropertyKey[]) => document.at([...path, ...more]);
    if (value.subject.kind !== 'workload' && (value.isNode || value.attestations)) {
      report.error(at(value.isNode ? 'isNode' : 'attest'), {
        found: `${value.isNode ? 'isNode' : 'attest'} of a ${value.subject.kind}`,
        expected: 'a workload: others are no processes of the bank',
        mend: 'remove it, or name it workload/…',
      });
    }
    if (value.isNode && value.attestations) {
      report.error(at('attest'), {
        found: 'attest of a node',
        expected: 'a join token: a node is who attests others',
        mend: 'remove attest, or isNode',
      });
    }
    for (const [index, attestation] of (value.attestations ?? []).entries()) {
      for (const [number, node] of attestation.nodes.entries()) {
        if (nodes.includes(node)) continue;
        const name = nameOf(node);
        report.error(at('attest', index, 'nodes', number), {
          found: quote(name),
          expected: "a workload with 'isNode: true'",
          mend: didYouMean(name, nodes.map(nameOf), `register it: { id: ${name}, isNode: true }`),
        });
      }
      const isVague = attestation.selectors.every((each) => VAGUE.test(each));
      if (isVague) {
        report.warn(at('attest', index, 'selectors'), {
          found: attestation.selectors.join(', '),
          expected: 'what only this workload has: a uid of its own, a systemd unit',
          mend: 'add unix:uid:<n> or systemd:unit:<unit>; a path names an interpreter, not what it runs',
        });
      }
    }
  }
}

/** What any process can have that runs the same interpreter. */
const VAGUE = /^unix:(?:path|sha256):/;

function nameOf(spiffeId: string): string {
  return spiffeId.replace(/^spiffe:\/\/[^/]+\//, '');
}
