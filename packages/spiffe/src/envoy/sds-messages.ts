import { field, message } from '../protobuf/message.ts';

// Envoy API v3: envoy/service/discovery/v3/discovery.proto, envoy/extensions/transport_sockets/tls/v3/*.proto. Only the
// fields that a secret server reads or writes; whatever else Envoy sends is passed over.

export const SECRET_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
export const SPIFFE_VALIDATOR_TYPE =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

const anyMessage = message('google.protobuf.Any', {
  typeUrl: field.string(1, 'type_url'),
  value: field.bytes(2, 'value'),
});

const statusMessage = message('google.rpc.Status', {
  code: field.int32(1, 'code'),
  message: field.string(2, 'message'),
});

export const discoveryRequest = message('envoy.service.discovery.v3.DiscoveryRequest', {
  versionInfo: field.string(1, 'version_info'),
  resourceNames: field.strings(3, 'resource_names'),
  typeUrl: field.string(4, 'type_url'),
  responseNonce: field.string(5, 'response_nonce'),
  errorDetail: field.message(6, 'error_detail', () => statusMessage),
});

export const discoveryResponse = message('envoy.service.discovery.v3.DiscoveryResponse', {
  versionInfo: field.string(1, 'version_info'),
  resources: field.messages(2, 'resources', () => anyMessage),
  typeUrl: field.string(4, 'type_url'),
  nonce: field.string(5, 'nonce'),
});

const dataSource = message('envoy.config.core.v3.DataSource', {
  inlineBytes: field.bytes(2, 'inline_bytes'),
});

const tlsCertificate = message('envoy.extensions.transport_sockets.tls.v3.TlsCertificate', {
  certificateChain: field.message(1, 'certificate_chain', () => dataSource),
  privateKey: field.message(2, 'private_key', () => dataSource),
});

const typedExtension = message('envoy.config.core.v3.TypedExtensionConfig', {
  name: field.string(1, 'name'),
  typedConfig: field.message(2, 'typed_config', () => anyMessage),
});

const validationContext = message(
  'envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext',
  {
    trustedCa: field.message(1, 'trusted_ca', () => dataSource),
    customValidatorConfig: field.message(12, 'custom_validator_config', () => typedExtension),
  },
);

const validatorTrustDomain = message(
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig.TrustDomain',
  {
    name: field.string(1, 'name'),
    trustBundle: field.message(2, 'trust_bundle', () => dataSource),
  },
);

export const spiffeValidator = message(
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig',
  {
    trustDomains: field.messages(1, 'trust_domains', () => validatorTrustDomain),
  },
);

export const secretMessage = message('envoy.extensions.transport_sockets.tls.v3.Secret', {
  name: field.string(1, 'name'),
  tlsCertificate: field.message(2, 'tls_certificate', () => tlsCertificate),
  validationContext: field.message(4, 'validation_context', () => validationContext),
});
