import type { Fact } from '@countersign/model';

/** A certificate that became a subject's, or no longer is. */
export interface CertificateChange {
  readonly action: 'certificate-registered' | 'certificate-withdrawn';
  readonly subject: string;
  /** SHA-256 of the certificate's DER, base64url. */
  readonly thumbprint: string;
}

/** Which certificates are whose: pairs of subject and thumbprint. */
export function certificatesOf(facts: Iterable<Fact>): ReadonlySet<string> {
  const held = new Set<string>();
  for (const fact of facts) {
    if (fact.kind !== 'subject') continue;
    for (const thumbprint of fact.certificates) held.add(`${thumbprint} ${fact.id}`);
  }
  return held;
}

/** What changed between two looks, withdrawals first. */
export function certificateChanges(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): readonly CertificateChange[] {
  const changes = (
    from: ReadonlySet<string>,
    to: ReadonlySet<string>,
    action: CertificateChange['action'],
  ) =>
    [...to]
      .filter((pair) => !from.has(pair))
      .map((pair): CertificateChange => {
        const [thumbprint = '', subject = ''] = pair.split(' ');
        return { action, subject, thumbprint };
      });
  return [
    ...changes(after, before, 'certificate-withdrawn'),
    ...changes(before, after, 'certificate-registered'),
  ];
}
