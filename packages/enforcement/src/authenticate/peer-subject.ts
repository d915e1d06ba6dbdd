import type { FactView } from '@countersign/decision';

/**
 * Who an SVID's SPIFFE ID is here: of our own trust domain itself, of any other the subject that it is registered for.
 *
 * INVARIANT: no ID of another trust domain is ever a subject by its own name, so what a partner calls its workloads
 * decides nothing here.
 *
 * @returns nothing for an ID that nobody registered
 */
export function subjectOfPeer(
  spiffeId: string,
  trustDomain: string,
  facts: FactView,
): string | undefined {
  return isOfTrustDomain(spiffeId, trustDomain) ? spiffeId : facts.subjectOfSpiffeId(spiffeId);
}

/** Whether a SPIFFE ID, verified, is of that trust domain. */
export function isOfTrustDomain(spiffeId: string, trustDomain: string): boolean {
  return spiffeId.startsWith(`spiffe://${trustDomain}/`);
}
