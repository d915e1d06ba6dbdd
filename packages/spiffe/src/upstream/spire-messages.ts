import { field, message } from '../protobuf/message.ts';

// SPIRE API SDK: spire/api/server/svid/v1/svid.proto, spire/api/server/bundle/v1/bundle.proto, spire/api/types.

export const SVID_SERVICE = 'spire.api.server.svid.v1.SVID';
export const BUNDLE_SERVICE = 'spire.api.server.bundle.v1.Bundle';

export const newDownstreamX509CaRequest = message('NewDownstreamX509CARequest', {
  csr: field.bytes(1, 'csr'),
  preferredTtl: field.int32(2, 'preferred_ttl'),
});

export const newDownstreamX509CaResponse = message('NewDownstreamX509CAResponse', {
  caCertChain: field.byteStrings(1, 'ca_cert_chain'),
  x509Authorities: field.byteStrings(2, 'x509_authorities'),
});

const x509CertificateMessage = message('X509Certificate', {
  asn1: field.bytes(1, 'asn1'),
  tainted: field.bool(2, 'tainted'),
});

const jwtKeyMessage = message('JWTKey', {
  publicKey: field.bytes(1, 'public_key'),
  keyId: field.string(2, 'key_id'),
  /** Seconds since the epoch; 0 for one that does not end. */
  expiresAt: field.int64(3, 'expires_at'),
  tainted: field.bool(4, 'tainted'),
});

export const getBundleRequest = message('GetBundleRequest', {});

export const bundleMessage = message('Bundle', {
  trustDomain: field.string(1, 'trust_domain'),
  x509Authorities: field.messages(2, 'x509_authorities', () => x509CertificateMessage),
  jwtAuthorities: field.messages(3, 'jwt_authorities', () => jwtKeyMessage),
});

export const publishJwtAuthorityRequest = message('PublishJWTAuthorityRequest', {
  jwtAuthority: field.message(1, 'jwt_authority', () => jwtKeyMessage),
});

export const publishJwtAuthorityResponse = message('PublishJWTAuthorityResponse', {
  jwtAuthorities: field.messages(1, 'jwt_authorities', () => jwtKeyMessage),
});
