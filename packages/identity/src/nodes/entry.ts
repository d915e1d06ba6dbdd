import type { Registration } from '@countersign/model';

/** What a node needs to know of a workload that may run on it. */
export interface Entry {
  readonly spiffeId: string;
  /** Alternatives; of one, all must hold of a process. */
  readonly selectors: readonly (readonly string[])[];
  readonly hint?: string;
  /** Trust domains whose bundles it gets beside ours. */
  readonly federatesWith?: readonly string[];
  /** When the registration itself ends; ms since the epoch. */
  readonly expiresMs?: number;
}

/** The entries of a node, by SPIFFE ID. */
export function entriesOf(node: string, registrations: readonly Registration[]): readonly Entry[] {
  return registrations
    .flatMap(({ subject, attestations = [], hint, expiresMs, federatesWith }): Entry[] => {
      const selectors = attestations
        .filter(({ nodes }) => nodes.includes(node))
        .map((attestation) => attestation.selectors);
      if (selectors.length === 0) return [];
      return [
        {
          spiffeId: subject.id,
          selectors,
          ...(hint !== undefined && { hint }),
          ...(federatesWith && { federatesWith }),
          ...(expiresMs !== undefined && { expiresMs }),
        },
      ];
    })
    .sort((a, b) => (a.spiffeId < b.spiffeId ? -1 : 1));
}
