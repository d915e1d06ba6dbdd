import { parseSpiffeId } from '@countersign/spiffe';
import type { IdentityDocument } from './identity-document.ts';
import { SdkError } from './sdk-error.ts';

/**
 * By whose word a peer is believed: of the own trust domain by the own authorities, of any other by that one's.
 *
 * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID` for a trust domain whose bundle this workload was not given
 */
export function peerAuthorities(
  {
    spiffeId,
    authorities,
    federated,
  }: Pick<IdentityDocument, 'spiffeId' | 'authorities' | 'federated'>,
  peerSpiffeId: string,
): readonly Uint8Array[] {
  const { trustDomain } = parseSpiffeId(peerSpiffeId);
  if (trustDomain === parseSpiffeId(spiffeId).trustDomain) return authorities;
  const found = federated?.get(trustDomain);
  if (found) return found;
  throw new SdkError(
    'ERR_SDK_OPTIONS_INVALID',
    `could not call ${peerSpiffeId}: found no bundle of '${trustDomain}', expected one from the Workload API (federatesWith of ${spiffeId})`,
  );
}
