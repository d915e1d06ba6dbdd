export { adminRoutes } from './admin-routes.ts';
export type { OpenToken } from './authorities/authority-keys.ts';
export type {
  AuthorityOperations,
  AuthorityStatus,
} from './authorities/authority-operations.ts';
export { bundleOf, type TrustBundleFact } from './authorities/own-bundle.ts';
export type { RotationTrouble } from './authorities/rotation-watch.ts';
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
export { CUSTOMERS_AT_ONCE_MAX } from './customers/customer.ts';
export { customerRoutes, type ShownCustomer } from './customers/customer-routes.ts';
export type { CustomersChanged } from './customers/customers.ts';
export type {
  Device,
  DeviceDetails,
  DeviceEnrolment,
  DeviceReport,
  DeviceState,
  EnrolmentCode,
  ReportedSignal,
} from './devices/device.ts';
export { deviceControlRoutes } from './devices/device-control-routes.ts';
export { deviceRoutes } from './devices/device-routes.ts';
export {
  DEFAULT_DEVICES,
  type DeviceSettings,
  POSTURE_FORMATS,
  type PostureFormat,
  type PostureSource,
} from './devices/device-settings.ts';
export type { Devices } from './devices/devices.ts';
export { readPostureReport, type UnreadableReport } from './devices/posture/formats.ts';
export {
  type KeptObservation,
  type MergedSignal,
  mergePosture,
} from './devices/posture/merge-posture.ts';
export type {
  DeviceObservation,
  PostureReport,
  SignalObservation,
} from './devices/posture/observation.ts';
export type { PostureTaken, UnreadablePosture } from './devices/posture/posture-intake.ts';
export {
  type PostureWebhookOptions,
  postureWebhookRoutes,
} from './devices/posture/webhook-routes.ts';
export { Federation, type FederationOptions } from './federation/federation.ts';
export type {
  PartnerStanding,
  PartnerStatus,
  PartnerTrouble,
} from './federation/partner-standing.ts';
export type {
  Identity,
  IdentityOptions,
  JoinToken,
  PeopleLogin,
  TokenIssuer,
  TokenIssuerOptions,
} from './identity.ts';
export { IdentityError, type IdentityErrorCode } from './identity-error.ts';
export type { IdentityProvider, ProviderAuthentication } from './idp/identity-provider.ts';
export { loginLinkRoutes } from './idp/link-routes.ts';
export { linkedPerson } from './idp/linked-person.ts';
export type { ProviderLink } from './idp/links.ts';
export type { ProviderOperations } from './idp/open-provider-logins.ts';
export type { ProviderStanding } from './idp/provider-client.ts';
export { lookAtFiles, type ProviderFileFault } from './idp/provider-files.ts';
export type { Issuer } from './issuer/issuer.ts';
export { issuerAdapter } from './issuer/issuer-adapter.ts';
export { type IssuerSettings, openIssuerSettings } from './issuer/issuer-settings.ts';
export type { JoinRequest } from './joining/joining.ts';
export type { KubernetesCluster } from './joining/token-review.ts';
export { type Keyring, openKeyring } from './keyring.ts';
export type { HardwareKeys, LoginSettings, TierException } from './login/login-settings.ts';
export type { PersonSession } from './login/person-sessions.ts';
export {
  type Limits,
  limitsText,
  type Narrowing,
  type NarrowRequest,
  type NarrowResult,
} from './narrowings.ts';
export type { NewEvent, Recorder } from './new-event.ts';
export type { Entry } from './nodes/entry.ts';
export { nodeRoutes } from './nodes/node-routes.ts';
export type { JwtGrant, NodeState, Nodes } from './nodes/nodes.ts';
export { openIdentity, openTokenIssuer } from './open-identity.ts';
export type { OrganisationReport, OrganisationState } from './partners/organisations.ts';
export type { Invite } from './passkeys/invites.ts';
export type { Passkey } from './passkeys/passkey-rows.ts';
export { type HrRow, readHrFeed } from './people/hr/hr-feed.ts';
export type { HrImport, HrImported } from './people/hr/import-feed.ts';
export type { FeedPlan, PlannedPerson } from './people/hr/plan-feed.ts';
export type { Orphan } from './people/orphans.ts';
export type { People, PersonDetail, PersonResult, PersonSummary } from './people/people.ts';
export {
  DEFAULT_PEOPLE,
  DIRECTORY_ATTRIBUTES,
  type DirectoryAttribute,
  type HrConfig,
  type PeopleConfig,
} from './people/people-config.ts';
export { peopleRoutes } from './people/people-routes.ts';
export type { Employment, Person } from './people/person.ts';
export type { ScimClient, ScimPeer } from './people/scim/scim-clients.ts';
export { type ScimRoutesOptions, scimRoutes } from './people/scim/scim-routes.ts';
export {
  openPkcs11Token,
  type Pkcs11Key,
  type Pkcs11Token,
  type Pkcs11TokenOptions,
} from './pkcs11/open-token.ts';
export type { KeyChoice, TokenKeyKind } from './pkcs11/token-keys.ts';
export type { TokenChoice } from './pkcs11/token-slot.ts';
export { answerProblems } from './problem.ts';
export type { Refusal, RefusalCode } from './refusal.ts';
export type { Registered } from './registered.ts';
export type { Applied, Point, PointRegistration, RegisteredEntity } from './registry.ts';
export type { Revocable, RevocationRequest, RevocationResult } from './revocations.ts';
export type { ClientSession } from './sessions.ts';
export type { Bearer, BearerCall, SignalScope } from './signals/bearer.ts';
export { type ClientTokens, clientTokens } from './signals/client-tokens.ts';
export { EVENT_TYPES, type EventTypeName } from './signals/event-types.ts';
export { namedPerson, type PersonNames } from './signals/named-person.ts';
export { namedSubject, type SubjectNames } from './signals/named-subject.ts';
export {
  openSignals,
  type PollSource,
  type Signals,
  type SignalsOptions,
  type SourceReport,
  type StreamReport,
} from './signals/open-signals.ts';
export type { DeliveryAnswer, PostToken } from './signals/push-deliverer.ts';
export type { SignalRight, SignalTransmitter } from './signals/receive.ts';
export type { PushSource } from './signals/receiver-routes.ts';
export type { SignalSigner } from './signals/security-event-token.ts';
export { signalActions } from './signals/signal-actions.ts';
export { openSignalKey, signalSigner } from './signals/signal-key.ts';
export { type GetJson, transmitterKeys } from './signals/signal-keys.ts';
export type { SignalLog, SignalSource } from './signals/signal-pump.ts';
export type { Stream, StreamStatus } from './signals/stream.ts';
export { STREAM_STATUSES } from './signals/stream.ts';
export type { SubjectIdentifier } from './signals/subject-identifier.ts';
export type { SignalReceiver } from './signals/transmitter-routes.ts';
export type { PointKeys } from './svid-request.ts';
export type { ControlPeer, HostNames, SvidGrant } from './svids.ts';
export type { WebClient } from './web-clients.ts';
export {
  type KeptRegistration,
  REGISTERED_MAX,
  type WrittenRegistration,
} from './written-registrations.ts';
