/** A trust domain that the bank federates with, from `federation/*.yaml`: whose bundle is followed, and how. */
export interface FederationPartner {
  readonly trustDomain: string;
  /** Who at the bank answers for it. */
  readonly owner: string;
  /** When the federation itself ends; ms since the epoch. From then on nobody of it is believed. */
  readonly expiresMs: number;
  readonly endpoint: PartnerBundleEndpoint;
  /** The bundle to begin with, a SPIFFE JWK Set that was handed over by other means. */
  readonly initialBundle?: string;
  /** How long the last bundle is trusted after its endpoint was last heard, in seconds. */
  readonly trustForSeconds: number;
}

/**
 * Where a partner's bundle is fetched. All of it is configured: none is ever taken from an answer (SPIFFE Federation §7.2).
 */
export type PartnerBundleEndpoint = { readonly url: string } & (
  | {
      readonly profile: 'https_web';
      /** DER in base64, in place of the authorities of the web. */
      readonly webAuthorities?: readonly string[];
    }
  | {
      readonly profile: 'https_spiffe';
      /** Who serves it: a SPIFFE ID of the partner's own trust domain, or of another partner's. */
      readonly spiffeId: string;
    }
);
