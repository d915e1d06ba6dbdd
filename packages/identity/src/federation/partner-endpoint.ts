import type { FederationPartner } from '@countersign/model';
import type { BundleEndpoint } from '@countersign/spiffe';

/** Where a partner's bundle is fetched, in the words of SPIFFE Federation. */
export function endpointOf({ trustDomain, endpoint }: FederationPartner): BundleEndpoint {
  const { url } = endpoint;
  if (endpoint.profile === 'https_spiffe') {
    return { trustDomain, url, profile: 'https_spiffe', endpointId: endpoint.spiffeId };
  }
  const { webAuthorities } = endpoint;
  return {
    ...{ trustDomain, url, profile: 'https_web' },
    ...(webAuthorities && {
      webAuthorities: webAuthorities.map((text) => Buffer.from(text, 'base64')),
    }),
  };
}
