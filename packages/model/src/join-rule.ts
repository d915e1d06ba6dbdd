/** By what a subject may join, beside a one-time join token; templates are filled in already. */
export type JoinRule = CertificateJoin | KubernetesJoin;

/**
 * A certificate that the subject's host has already, from the bank's own authority.
 *
 * All that is said must hold, and at least one of the criteria beside `authoritiesPem` is said.
 */
export interface CertificateJoin {
  readonly kind: 'certificate';
  /** PEM of the authorities of which one must have issued it; no other does. */
  readonly authoritiesPem: readonly string[];
  /** SHA-256 over DER, base64url; one of them. */
  readonly thumbprints?: readonly string[];
  /** The one common name of the certificate's subject. */
  readonly commonName?: string;
  /** The certificate's serial number, lower-case hex without leading zeros. */
  readonly serialHex?: string;
  /** One of its DNS names; compared without case. */
  readonly dnsName?: string;
  /** One of its URIs. */
  readonly uri?: string;
}

/** A projected service account token of a pod. */
export interface KubernetesJoin {
  readonly kind: 'kubernetes';
  /** The cluster's name in the authority's configuration. */
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod's name; any pod of the service account when absent. */
  readonly pod?: string;
  /** The node that the pod is bound to; any when absent. */
  readonly node?: string;
}
