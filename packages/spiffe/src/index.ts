export { type CaSigner, softwareSigner } from './authority/ca-signer.ts';
export type { IssuedCertificate } from './authority/issue-certificate.ts';
export {
  type ClientCertificateRequest,
  createPrivateAuthority,
  type PrivateAuthority,
  type PrivateAuthorityOptions,
  type ServerCertificateRequest,
} from './authority/private-authority.ts';
export type {
  UpstreamAuthority,
  UpstreamJwtAuthority,
  UpstreamMinted,
  UpstreamRequest,
} from './authority/upstream-authority.ts';
export {
  createX509Authority,
  type SvidRequest,
  type X509Authority,
  type X509AuthorityOptions,
  type X509Svid,
} from './authority/x509-authority.ts';
export {
  type Bundle,
  encodeBundle,
  encodeJwtBundle,
  parseBundle,
  parseJwtBundle,
} from './bundle/bundle.ts';
export { type BundleSet, createBundleSet } from './bundle/bundle-set.ts';
export { foreignAuthority } from './bundle/foreign-authority.ts';
export { type CertificateNames, certificateNames } from './certificate/certificate-names.ts';
export { certificateRequest, readCertificateRequest } from './certificate/certificate-request.ts';
export { decodePem, encodePem } from './certificate/pem.ts';
export { certificateThumbprint } from './certificate/thumbprint.ts';
export { bundleEndpoint, bundleEndpointTlsOptions } from './federation/bundle-endpoint.ts';
export { type BundleEndpoint, type BundleFetch, fetchBundle } from './federation/fetch-bundle.ts';
export {
  type BundleFollowing,
  followBundle,
  refreshIntervalSeconds,
} from './federation/follow-bundle.ts';
export { es256Signature } from './jwt/es256-signature.ts';
export { JWT_AUDIENCES } from './jwt/jwt-audiences.ts';
export {
  createJwtIssuer,
  type JwtIssuer,
  type JwtIssuerOptions,
  type JwtSvid,
  type JwtSvidRequest,
} from './jwt/jwt-issuer.ts';
export type { JwtAuthority } from './jwt/jwt-key.ts';
export {
  type JwtBundleSource,
  type JwtSvidVerification,
  type VerifiedJwtSvid,
  verifyJwtSvid,
} from './jwt/verify-jwt-svid.ts';
export { SpiffeError, type SpiffeErrorCode } from './spiffe-error.ts';
export { parseSpiffeId, parseTrustDomain, type SpiffeId } from './spiffe-id.ts';
export {
  type VerifiedClientCertificate,
  verifyClientCertificate,
} from './svid/verify-client-certificate.ts';
export {
  type EnrolmentCertificate,
  readEnrolmentCertificate,
  verifyEnrolmentCertificate,
} from './svid/verify-enrolment-certificate.ts';
export { type BundleSource, type VerifiedPeer, verifyX509Svid } from './svid/verify-x509-svid.ts';
export {
  type ClientTls,
  type ClientTlsOptions,
  clientTlsOptions,
} from './tls/client-tls-options.ts';
export {
  type Closable,
  type Connections,
  createConnections,
  type HeldPeer,
} from './tls/connections.ts';
export { createConnector, type SpiffeConnector } from './tls/connector.ts';
export { ownCertificate } from './tls/own-certificate.ts';
export { peerChain } from './tls/peer-chain.ts';
export { retireHttp } from './tls/retire-http.ts';
export {
  connectWithSource,
  type SpiffeClient,
  type SpiffeServer,
  type SpiffeServing,
  serveWithSource,
} from './tls/serve.ts';
export {
  type ClientCertificates,
  renewServerTls,
  type ServerTls,
  serverTlsOptions,
  type TlsIdentity,
} from './tls/server-tls-options.ts';
export { type Peers, type PeerVerification, verifyPeers } from './tls/verify-peers.ts';
export {
  type WebClientTls,
  type WebClientTlsOptions,
  webClientTlsOptions,
} from './tls/web-client-tls-options.ts';
export { type DiskUpstreamOptions, openDiskUpstream } from './upstream/disk-upstream.ts';
export { openSpireUpstream, type SpireUpstreamOptions } from './upstream/spire-upstream.ts';
export type { VaultAuth } from './upstream/vault-session.ts';
export { openVaultUpstream, type VaultUpstreamOptions } from './upstream/vault-upstream.ts';
export {
  type CallOptions,
  createWorkloadClient,
  type FetchedJwtSvid,
  type JwtBundles,
  type Watch,
  type WorkloadClient,
  type WorkloadClientOptions,
} from './workload-api/workload-client.ts';
export {
  parseWorkloadEndpoint,
  WORKLOAD_ENDPOINT_VARIABLE,
} from './workload-api/workload-endpoint.ts';
export {
  createWorkloadServer,
  type WorkloadServer,
  type WorkloadServerOptions,
} from './workload-api/workload-server.ts';
export type {
  WorkloadBundles,
  WorkloadChange,
  WorkloadJwtSvid,
  WorkloadSource,
  WorkloadX509Svid,
} from './workload-api/workload-source.ts';
export type { X509Bundles, X509Context, X509Identity } from './workload-api/x509-context.ts';
export {
  openX509Source,
  type X509Source,
  type X509SourceOptions,
} from './workload-api/x509-source.ts';
