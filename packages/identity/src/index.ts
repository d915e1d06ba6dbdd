export { adminRoutes } from './admin-routes.ts';
export {
  loadPeerCredentials,
  type PeerCredentials,
  type ReadPeerCredentials,
} from './attestation/peer-credentials.ts';
export {
  type AttestedProcess,
  createProcessAttestor,
  type ProcessAttestor,
} from './attestation/process-attestor.ts';
export { isEntitled, missingOf, type Selectors } from './attestation/selectors.ts';
export type {
  AuthorityOperations,
  AuthorityStatus,
  RotationTrouble,
} from './authorities/authorities.ts';
export type { OpenToken } from './authorities/authority-keys.ts';
export { bundleOf, type TrustBundleFact } from './authorities/own-bundle.ts';
export { nextStep, type RotationStep } from './authorities/schedule.ts';
export {
  AUTHORITY_KINDS,
  type AuthorityKind,
  type AuthoritySlot,
  type AuthorityState,
} from './authorities/slot.ts';
export { BUNDLE_TYPE, bundleRoutes } from './bundle-routes.ts';
export { controlRoutes } from './control-routes.ts';
export type { CredentialResult } from './credentials.ts';
export { IdentityError, type IdentityErrorCode } from './identity-error.ts';
export type { Issuer } from './issuer/issuer.ts';
export { issuerAdapter } from './issuer/issuer-adapter.ts';
export { type Keyring, openKeyring } from './keyring.ts';
export type { NewEvent, Recorder } from './new-event.ts';
export type { Entry } from './nodes/entry.ts';
export { nodeRoutes } from './nodes/node-routes.ts';
export type { JwtGrant, NodeState, Nodes } from './nodes/nodes.ts';
export {
  type Identity,
  type IdentityOptions,
  type JoinToken,
  openIdentity,
} from './open-identity.ts';
export {
  openPkcs11Token,
  type Pkcs11Key,
  type Pkcs11Token,
  type Pkcs11TokenOptions,
} from './pkcs11/open-token.ts';
export type { KeyChoice, TokenKeyKind } from './pkcs11/token-keys.ts';
export type { TokenChoice } from './pkcs11/token-slot.ts';
export type { Refusal, RefusalCode } from './refusal.ts';
export type { Registered } from './registered.ts';
export type { Applied, Point, PointRegistration, RegisteredEntity } from './registry.ts';
export type { Revocable, RevocationRequest, RevocationResult } from './revocations.ts';
export type { ClientSession } from './sessions.ts';
export type { PointKeys } from './svid-request.ts';
export type { ControlPeer, HostNames, SvidGrant } from './svids.ts';
