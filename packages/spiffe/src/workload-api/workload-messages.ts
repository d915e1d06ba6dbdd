import { field, message } from '../protobuf/message.ts';
import { structMessage } from '../protobuf/struct.ts';

// SPIFFE Workload API: workloadapi.proto, which has no package.

export const emptyMessage = (name: string) => message(name, {});

export const x509SvidMessage = message('X509SVID', {
  spiffeId: field.string(1, 'spiffe_id'),
  chain: field.bytes(2, 'x509_svid'),
  privateKey: field.bytes(3, 'x509_svid_key'),
  bundle: field.bytes(4, 'bundle'),
  hint: field.string(5, 'hint'),
});

export const x509SvidResponse = message('X509SVIDResponse', {
  svids: field.messages(1, 'svids', () => x509SvidMessage),
  revocationLists: field.byteStrings(2, 'crl'),
  federatedBundles: field.byText(
    3,
    'federated_bundles',
    'X509SVIDResponse.FederatedBundlesEntry',
    field.bytes(2, 'value'),
  ),
});

export const x509BundlesResponse = message('X509BundlesResponse', {
  revocationLists: field.byteStrings(1, 'crl'),
  bundles: field.byText(2, 'bundles', 'X509BundlesResponse.BundlesEntry', field.bytes(2, 'value')),
});

export const jwtSvidRequest = message('JWTSVIDRequest', {
  audiences: field.strings(1, 'audience'),
  spiffeId: field.string(2, 'spiffe_id'),
});

export const jwtSvidMessage = message('JWTSVID', {
  spiffeId: field.string(1, 'spiffe_id'),
  token: field.string(2, 'svid'),
  hint: field.string(3, 'hint'),
});

export const jwtSvidResponse = message('JWTSVIDResponse', {
  svids: field.messages(1, 'svids', () => jwtSvidMessage),
});

export const jwtBundlesResponse = message('JWTBundlesResponse', {
  bundles: field.byText(1, 'bundles', 'JWTBundlesResponse.BundlesEntry', field.bytes(2, 'value')),
});

export const validateJwtSvidRequest = message('ValidateJWTSVIDRequest', {
  audience: field.string(1, 'audience'),
  token: field.string(2, 'svid'),
});

export const validateJwtSvidResponse = message('ValidateJWTSVIDResponse', {
  spiffeId: field.string(1, 'spiffe_id'),
  claims: field.message(2, 'claims', () => structMessage),
});

/** Incubating profile: known by name, and answered as unimplemented. */
export const witSvidRequest = message('WITSVIDRequest', {
  spiffeId: field.string(1, 'spiffe_id'),
});
export const witSvidMessage = message('WITSVID', {
  spiffeId: field.string(1, 'spiffe_id'),
  token: field.string(2, 'wit_svid'),
  key: field.string(3, 'wit_svid_key'),
  hint: field.string(4, 'hint'),
});
export const witSvidResponse = message('WITSVIDResponse', {
  svids: field.messages(1, 'svids', () => witSvidMessage),
});

export const witBundlesResponse = message('WITBundlesResponse', {
  bundles: field.byText(1, 'bundles', 'WITBundlesResponse.BundlesEntry', field.string(2, 'value')),
});

export const WORKLOAD_SERVICE = 'SpiffeWorkloadAPI';

/** SPIFFE Workload Endpoint §3: every call carries it, so that a request that was smuggled elsewhere is none. */
export const SECURITY_HEADER = Object.freeze({ name: 'workload.spiffe.io', value: 'true' });
