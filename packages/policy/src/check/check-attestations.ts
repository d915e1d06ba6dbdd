import { pathOfSubject, type Registration } from '@countersign/model';
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
      if (attestation.selectors.every((each) => VAGUE.test(each))) {
        report.error(at('attest', index, 'selectors'), {
          found: attestation.selectors.join(', '),
          expected:
            'also whose process it is: any user of the host can run that file, and make it do what they like',
          mend: 'add unix:uid:<n>, unix:user:<name>, systemd:unit:<unit> or socket:name:<name>',
        });
      }
    }
  }
}

/** What a process of any user has that runs the same executable, with arguments and libraries of its own. */
const VAGUE = /^unix:(?:path|sha256):/;

function nameOf(spiffeId: string): string {
  return pathOfSubject(spiffeId);
}
