/** The closed list of what can be wrong with an ID, a certificate, a token, a bundle or a request to issue. */
export type SpiffeErrorCode =
  /** Text that is no SPIFFE ID. */
  | 'ERR_SPIFFE_ID_INVALID'
  /** The peer showed no certificate. */
  | 'ERR_SPIFFE_NO_CERTIFICATE'
  /** Bytes that are no strict DER certificate, or a chain beyond its bounds. */
  | 'ERR_SPIFFE_CERTIFICATE_MALFORMED'
  /** Not exactly one URI SAN, or one that is no leaf SPIFFE ID. */
  | 'ERR_SPIFFE_URI_SAN'
  /** A certificate authority's certificate was used to authenticate. */
  | 'ERR_SPIFFE_LEAF_IS_AUTHORITY'
  | 'ERR_SPIFFE_KEY_USAGE'
  | 'ERR_SPIFFE_EXTENDED_KEY_USAGE'
  | 'ERR_SPIFFE_EXPIRED'
  | 'ERR_SPIFFE_NOT_YET_VALID'
  /** No bundle is known for the trust domain that the certificate claims. */
  | 'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN'
  /** No path leads from the certificate to an authority of its bundle. */
  | 'ERR_SPIFFE_UNTRUSTED'
  /** A certificate on the path may not issue. */
  | 'ERR_SPIFFE_AUTHORITY_INVALID'
  /** A critical extension that is not understood, or name constraints. */
  | 'ERR_SPIFFE_EXTENSION_UNSUPPORTED'
  /** A key or signature that is too weak or not supported. */
  | 'ERR_SPIFFE_ALGORITHM'
  /** A valid SVID, but not of the peer that was called. */
  | 'ERR_SPIFFE_PEER_UNEXPECTED'
  | 'ERR_SPIFFE_BUNDLE_INVALID'
  /** A bundle endpoint that is not configured as SPIFFE demands, or a redirect to one that is none. */
  | 'ERR_SPIFFE_BUNDLE_ENDPOINT'
  /** A bundle endpoint that is not there, or answers with something else than a bundle. */
  | 'ERR_SPIFFE_BUNDLE_UNAVAILABLE'
  /** Text that is no JWT-SVID: its form, its header, or a claim that is missing. */
  | 'ERR_SPIFFE_TOKEN_MALFORMED'
  /** A JWT-SVID that is meant for others. */
  | 'ERR_SPIFFE_AUDIENCE'
  /** An address of a Workload API that is none. */
  | 'ERR_SPIFFE_WORKLOAD_ENDPOINT'
  /** The Workload API knows no identity for this process, or has taken it away. */
  | 'ERR_SPIFFE_WORKLOAD_DENIED'
  /** The Workload API is not there, or not ready. */
  | 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE'
  /** Asked too often, or for too much at once: worth asking again, later. */
  | 'ERR_SPIFFE_WORKLOAD_EXHAUSTED'
  /** The Workload API will never answer this request: an argument is wrong. */
  | 'ERR_SPIFFE_WORKLOAD_ARGUMENT'
  /** The other side does not speak the Workload API as specified. */
  | 'ERR_SPIFFE_WORKLOAD_PROTOCOL'
  /** An upstream authority that is not there or not ready: worth asking again. */
  | 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE'
  /** An upstream authority that will not sign, or answered with what cannot be used. */
  | 'ERR_SPIFFE_UPSTREAM_REFUSED'
  /** The authority will not or cannot issue what was asked for. */
  | 'ERR_SPIFFE_ISSUE_REFUSED';

/** What this room throws; `code` is stable and tells the cause, the message is for people. */
export class SpiffeError extends Error {
  readonly code: SpiffeErrorCode;

  constructor(code: SpiffeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SpiffeError';
    this.code = code;
  }
}
