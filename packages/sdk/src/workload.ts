import type { Dispatcher } from 'undici';
import type { Attestation } from './attestation.ts';
import type { SvidRequestExtra } from './svid-request.ts';
import type { WebServer } from './web-server.ts';

/** A running identity: an X.509-SVID that renews itself. Its fields always show the newest one. */
export interface Workload {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 PEM of the SVID's key. */
  readonly keyPem: string;
  readonly notAfterMs: number;
  /** When it is to be renewed: a process that runs does so by itself. */
  readonly renewAfterMs: number;
  /** By what it joined, in the authority's words; unknown of one that an older version kept. */
  readonly joinedBy?: string | undefined;
  /** DER of the X.509 authorities of the own trust domain. */
  readonly authorities: readonly Uint8Array[];
  /**
   * Called after each renewal and whenever {@link authorities} are others, in the order of registration; a server renews its
   * TLS context there, and ends the connections of clients that are vouched for no more.
   *
   * @returns a function that takes the listener off
   */
  onRotate(listener: () => void): () => void;
  /**
   * An undici dispatcher for calling one peer as this workload: mTLS, and the peer must have that SPIFFE ID; a {@link WebServer}
   * must have a certificate for the origin's host name.
   *
   * New connections use the newest SVID. At each rotation the connections of the old one finish what is in flight
   * and close; none outlives its certificate or the peer's. The same origin and peer give the same dispatcher.
   *
   * @throws {SdkError} `ERR_SDK_OPTIONS_INVALID`, `ERR_SDK_LIMIT` beyond 1024 peers, `ERR_SDK_CLOSED`
   */
  dispatcherFor(origin: string, peer: string | WebServer): Dispatcher;
  /** Stops renewing and ends every connection; the SVID stays in its folder. */
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
  /**
   * Public Ed25519 JWKs with `kid`: the `factKeys` of `trust.json`. With them a host that was off while the authorities rotated
   * finds back, and bundles are taken with their signature only.
   */
  readonly factKeys?: readonly Readonly<Record<string, string>>[];
  /** One-time token for the first SVID; later starts use the SVID in `folder`. */
  readonly joinToken?: string;
  /** What else lets it join, without anybody's help also after its SVID ended. */
  readonly attestation?: Attestation;
  /** Where SVID and key are kept (mode 0600); absent: in memory only. */
  readonly folder?: string;
  /** What an enforcement point registers with its identity; sent at each request for an SVID. */
  readonly extra?: SvidRequestExtra;
  /** Told of each try to enrol or renew that failed and will be repeated, of the expiry, and of listeners that threw. */
  readonly onFailure?: (error: Error) => void;
  readonly now?: () => number;
}
