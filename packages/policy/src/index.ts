export { buildBundle } from './bundle/build-bundle.ts';
export { parseBundle } from './bundle/parse-bundle.ts';
export { BUNDLE_TYPE, signBundle } from './bundle/sign-bundle.ts';
export type { PolicyBundle } from './bundle.ts';
export { type CheckOptions, checkRepository } from './check/check-repository.ts';
export { type EntityFault, entityFault } from './check/entity-fault.ts';
export type { AssumedDevice, PolicyTestQuestion, RunPolicyTest } from './check/policy-tests.ts';
export { readSubjectEntity } from './check/read-subject-entity.ts';
export {
  REGISTERED_AT_ONCE_MAX,
  type RegisteredIdentity,
  readRegisteredIdentities,
  registeredIdOf,
} from './check/registered-identities.ts';
export { initRepository } from './init/init-repository.ts';
export type { PeopleSettings, ScimSettings } from './people-settings.ts';
export type {
  BankConfig,
  BundleEndpointConfig,
  CaConfig,
  CertificateFiles,
  ClusterConfig,
  CustomersConfig,
  DevicesConfig,
  ExportConfig,
  HostPort,
  IdentityProviderConfig,
  IssuerConfig,
  ListenerConfig,
  LoginConfig,
  Pkcs11Config,
  PointConfig,
  PostureSourceConfig,
  Problem,
  RecordConfig,
  RecordReader,
  RecordRight,
  Repository,
  RouteConfig,
  SecretConfig,
  ShardConfig,
  SignalReceiverConfig,
  SignalsConfig,
  SignalTransmitterConfig,
  StorageConfig,
  UpstreamConfig,
  WebConfig,
} from './repository.ts';
export { RepositoryError, type RepositoryErrorCode } from './repository-error.ts';
export { generateSchema } from './schema/generate-schema.ts';
export { jsonSchemas } from './shape/json-schemas.ts';
export { RESERVED_PATH, WEB_PATHS } from './web-paths.ts';
