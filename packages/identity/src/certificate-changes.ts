import type { Fact } from '@countersign/model';

/** A certificate or a foreign SPIFFE ID that became a subject's, or no longer is. */
export interface CertificateChange {
  readonly action: `${'certificate' | 'spiffe-id'}-${'registered' | 'withdrawn'}`;
  readonly subject: string;
  /** SHA-256 of the certificate's DER, base64url; or the SPIFFE ID. */
  readonly detail: { readonly thumbprint: string } | { readonly spiffeId: string };
}

/** Which certificates and foreign SPIFFE IDs are whose: pairs of one of them and a subject. */
export function certificatesOf(facts: Iterable<Fact>): ReadonlySet<string> {
  const held = new Set<string>();
  for (const fact of facts) {
    if (fact.kind !== 'subject') continue;
    for (const name of [...fact.certificates, ...(fact.spiffeIds ?? [])]) {
      held.add(`${name} ${fact.id}`);
    }
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
    what: 'registered' | 'withdrawn',
  ) =>
    [...to]
      .filter((pair) => !from.has(pair))
      .map((pair): CertificateChange => {
        const [name = '', subject = ''] = pair.split(' ');
        return name.startsWith('spiffe://')
          ? { action: `spiffe-id-${what}`, subject, detail: { spiffeId: name } }
          : { action: `certificate-${what}`, subject, detail: { thumbprint: name } };
      });
  return [...changes(after, before, 'withdrawn'), ...changes(before, after, 'registered')];
}
