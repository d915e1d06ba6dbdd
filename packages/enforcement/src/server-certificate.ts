import type { TlsIdentity } from '@countersign/spiffe';

/** A certificate that a listener shows in place of the SVID, and that somebody else renews. */
export interface ServerCertificate {
  current(): TlsIdentity;
  /** Called after each renewal: new connections are shown it, those that are open go on. */
  onRenewed(listener: () => void): void;
}
