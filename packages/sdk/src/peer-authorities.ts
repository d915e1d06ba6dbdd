import { parseSpiffeId } from '@countersign/spiffe';
import type { IdentityDocument } from './identity-document.ts';

/**
 * By whose word a peer is believed: of the own trust domain by the own authorities, of any other by that one's.
 *
 * @returns nothing for a trust domain whose bundle this workload was not given
 */
export function peerAuthorities(
  {
    spiffeId,
    authorities,
    federated,
  }: Pick<IdentityDocument, 'spiffeId' | 'authorities' | 'federated'>,
  peerSpiffeId: string,
): readonly Uint8Array[] | undefined {
  const { trustDomain } = parseSpiffeId(peerSpiffeId);
  const isOwn = trustDomain === parseSpiffeId(spiffeId).trustDomain;
  return isOwn ? authorities : federated?.get(trustDomain);
}
