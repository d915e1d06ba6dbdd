import type { Dispatcher } from 'undici';

/** A running identity: an X.509-SVID that renews itself. */
export interface Workload {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 PEM of the SVID's key. */
  readonly keyPem: string;
  readonly notAfterMs: number;
  /** DER of the X.509 authorities of the own trust domain. */
  readonly authorities: readonly Uint8Array[];
  /** Called after each renewal. */
  onRotate(listener: () => void): () => void;
  /** An undici dispatcher for calling one peer as this workload: mTLS, and the peer must have that SPIFFE ID. */
  dispatcherFor(origin: string, peerSpiffeId: string): Dispatcher;
  close(): Promise<void>;
}

/** How to become a workload. */
export interface WorkloadOptions {
  /** Base URL of the authority's control API, `https://127.0.0.1:7401`. */
  readonly authorityUrl: string;
  /** SPIFFE ID that the authority must have. */
  readonly authoritySpiffeId: string;
  /** DER in base64: the X.509 authorities known beforehand (trust anchors). */
  readonly x509Authorities: readonly string[];
  readonly trustDomain: string;
  /** One-time token for the first SVID; later starts use the SVID in `folder`. */
  readonly joinToken?: string;
  /** Where SVID and key are kept (mode 0600); absent: in memory only. */
  readonly folder?: string;
  readonly now?: () => number;
}
