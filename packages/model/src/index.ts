export {
  type AccessRequest,
  type EntityUid,
  type KeyProof,
  type ResourceRef,
  type Session,
  SUBJECT_ENTITY_BYTES_MAX,
  type SubjectEntity,
  type Transaction,
} from './access-request.ts';
export {
  type AuthorizationDetail,
  type DetailField,
  type DetailLine,
  type DetailType,
  detailFault,
  detailLines,
  PURPOSE_TYPE,
} from './authorization-details.ts';
export { type Clock, type RandomBytes, systemClock } from './clock.ts';
export { compactId } from './compact-id.ts';
export type { Challenge, Decision, Obligation, PolicyError } from './decision.ts';
export {
  ASSURANCES,
  type Assurance,
  DEVICE_IDENTIFIERS,
  DEVICE_OWNERSHIPS,
  type DeviceIdentifier,
  type DeviceOwnership,
  POSTURE_SIGNALS,
  type PostureSignal,
  postureAt,
  postureChangesAt,
  type RequestDevice,
  type SignalEvidence,
  type TriState,
} from './device.ts';
export {
  type AdministrationEvent,
  type AlarmEvent,
  type AuthenticationEvent,
  type ClosureEvent,
  type DecisionEvent,
  decodeEvent,
  EVENT_VERSION,
  type Event,
  type EventKind,
  encodeEvent,
  type OutcomeEvent,
  parseEvent,
  type SealedPart,
  type SignalEvent,
} from './event.ts';
export {
  type Fact,
  type FactChange,
  type FactKind,
  factKey,
  parseFact,
  type RiskLevel,
} from './fact.ts';
export type { FederationPartner, PartnerBundleEndpoint } from './federation.ts';
export { assertNever, invariant } from './invariant.ts';
export type { CertificateJoin, JoinRule, KubernetesJoin } from './join-rule.ts';
export { ModelError, type ModelErrorCode } from './model-error.ts';
export { networkOf } from './network-of.ts';
export { DENIAL_REASONS, type DenialReason, REASONS, type Reason } from './reason.ts';
export {
  ACR_VALUES,
  ACTORS_DEFAULT,
  ACTORS_MAX,
  type Acr,
  AMR_VALUES,
  type Amr,
  type Attestation,
  type ClientAuthentication,
  type ClientRegistration,
  type ExchangeRule,
  type Organisation,
  type PeopleClient,
  type Playbook,
  type PlaybookAction,
  type Registration,
} from './registration.ts';
export {
  DEFAULT_RETENTION,
  EVIDENCE_CLASS,
  type Keep,
  keepText,
  keptUntilMs,
  READS_CLASS,
  type RetentionClass,
} from './retention.ts';
export { parseSignal, SIGNAL_TYPES, type Signal, type SignalType } from './signal.ts';
export {
  pathOfSubject,
  SUBJECT_KINDS,
  type Subject,
  type SubjectKind,
  subjectFromId,
  subjectTypeName,
} from './subject.ts';
export {
  CRITICALITIES,
  type Criticality,
  EVIDENCE_LEVELS,
  type EvidenceLevel,
  type Operation,
  type OperationParameter,
  SURFACE_MODES,
  type Surface,
  type SurfaceMode,
  type Upstream,
} from './surface.ts';
