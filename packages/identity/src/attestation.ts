// What `countersign node` needs of this room, by itself: a host that attests loads no issuer and no database.
export {
  loadPeerCredentials,
  type PeerCredentials,
  type ReadPeerCredentials,
} from './attestation/peer-credentials.ts';
export {
  type AttestedProcess,
  createProcessAttestor,
  type ProcessAttestor,
  systemdUnitOf,
} from './attestation/process-attestor.ts';
export { isEntitled, missingOf, type Selectors } from './attestation/selectors.ts';
export { IdentityError, type IdentityErrorCode } from './identity-error.ts';
export type { Entry } from './nodes/entry.ts';
