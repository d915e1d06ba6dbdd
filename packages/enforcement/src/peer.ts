import type { CertificateNames } from '@countersign/spiffe';

/** Who is at the other end of a connection, looked at once, when its handshake was done. */
export type ConnectionPeer =
  /** An X.509-SVID that verified against its own trust domain's bundle. */
  | {
      readonly kind: 'svid';
      readonly id: string;
      /** SHA-256 of the leaf's DER, base64url: what tokens are bound to, and what is registered. */
      readonly thumbprint: string;
      /** What revocations are asked for. */
      readonly names: CertificateNames;
      readonly notAfterMs: number;
      /** The leaf, DER: without it nothing of this peer counts as signed. */
      readonly leaf?: Uint8Array;
    }
  /** A partner's certificate that verified against this listener's own authorities. */
  | {
      readonly kind: 'partner';
      readonly thumbprint: string;
      readonly names: CertificateNames;
      readonly notAfterMs: number;
      readonly leaf?: Uint8Array;
    }
  | { readonly kind: 'none' }
  /** A certificate that did not verify. The connection stands, so that the cause can be answered. */
  | {
      readonly kind: 'invalid';
      readonly reason: 'certificate-invalid' | 'certificate-expired';
      readonly detail: string;
    };
