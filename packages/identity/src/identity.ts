import type { KeyObject } from 'node:crypto';
import type { Clock, DetailType, Fact, Registration, Signal } from '@countersign/model';
import type { RegisteredCredential } from '@countersign/sdk';
import type { UpstreamAuthority, X509Svid } from '@countersign/spiffe';
import type { Database, FactLog, TrustAnchors } from '@countersign/state';
import type { OpenToken } from './authorities/authority-keys.ts';
import type { AuthorityOperations } from './authorities/authority-operations.ts';
import type { TrustBundleFact } from './authorities/own-bundle.ts';
import type { CredentialResult } from './credentials.ts';
import type { Customers } from './customers/customers.ts';
import type { DeviceSettings } from './devices/device-settings.ts';
import type { Devices } from './devices/devices.ts';
import type { ProviderOperations } from './idp/open-provider-logins.ts';
import type { Notify } from './issuer/ciba/pings.ts';
import type { Issuer } from './issuer/issuer.ts';
import type { JoinRequest } from './joining/joining.ts';
import type { KubernetesCluster } from './joining/token-review.ts';
import type { Keyring } from './keyring.ts';
import type { LoginSettings } from './login/login-settings.ts';
import type { PersonSession } from './login/person-sessions.ts';
import type { Narrowing, NarrowRequest, NarrowResult } from './narrowings.ts';
import type { Recorder } from './new-event.ts';
import type { Nodes } from './nodes/nodes.ts';
import type { ReinstateRequest } from './partners/cut-offs.ts';
import type { OrganisationReport } from './partners/organisations.ts';
import type { issueProbeToken } from './partners/probe-token.ts';
import type { Invite } from './passkeys/invites.ts';
import type { Passkey } from './passkeys/passkey-rows.ts';
import type { People } from './people/people.ts';
import type { PeopleConfig } from './people/people-config.ts';
import type { ScimClient } from './people/scim/scim-clients.ts';
import type { Refusal } from './refusal.ts';
import type { Registered } from './registered.ts';
import type { Applied, Point, PointRegistration, RegisteredEntity } from './registry.ts';
import type { RevocationRequest, RevocationResult, Revocations } from './revocations.ts';
import type { ClientSession } from './sessions.ts';
import type { Bearer, BearerCall, SignalScope } from './signals/bearer.ts';
import type { ControlPeer, HostNames, SvidGrant } from './svids.ts';
import type { KeptRegistration, RegistrationChange } from './written-registrations.ts';

/** Who is registered, which credentials they get, and which sessions they hold. */
export interface Identity {
  /** The SPIFFE ID of the authority itself. */
  readonly authorityId: string;
  /** What points and workloads are given beforehand, as it is now: the X.509 authorities rotate. */
  readonly trustAnchors: TrustAnchors;
  /** The X.509, JWT and token authorities, for the operator. */
  readonly authorities: AuthorityOperations;
  /** Does what is due of their rotation; to be called often. */
  rotate(): Promise<void>;
  /** Who vouches for the trust domain now. */
  bundle(): TrustBundleFact;
  /** DER of X.509 authorities that are in no bundle any more: an SVID of theirs is good for its own renewal only. */
  taintedAuthorities(): readonly Uint8Array[];
  /** SHA-256 (base64url) of tainted authorities that an upstream signed: its root is in the bundle still. */
  refusedAuthorities(): readonly string[];
  readonly issuer: Issuer;
  /** The trust domain's bundle as it is published: a SPIFFE JWK Set. */
  publishedBundle(): string;
  /** What hosts ask for that attest workloads. */
  readonly nodes: Nodes;
  /** The bank's devices: enrolment, certificates, posture. */
  readonly devices: Devices;
  /** The bank's people: joiners, movers, leavers. */
  readonly people: People;
  /** The bank's customers. */
  readonly customers: Customers;
  /** What the bank registered of a subject; nothing of points and of the authority itself. */
  registration(spiffeId: string): Registration | undefined;
  /** All that the bank registered, each with what it holds now. */
  registrations(): Promise<readonly Registered[]>;
  /** Calls back after each change of who is registered, enabled or revoked; returns how to end it. */
  onChange(listener: () => void): () => void;
  /**
   * Makes the bank's subjects and entities these and no others, in one change of facts.
   *
   * @throws {IdentityError} `ERR_IDENTITY_REGISTRATION` when they contradict each other; nothing is changed
   */
  applyRegistrations(
    registrations: readonly Registration[],
    entities: readonly RegisteredEntity[],
    options?: {
      readonly by?: string;
      /** What this changes of the registrations that were made by API; nothing if not said. */
      readonly written?: RegistrationChange;
    },
  ): Promise<Applied>;
  /** Registrations that were made by API, as they were written; in the order of their ids. */
  writtenRegistrations(): Promise<readonly KeptRegistration[]>;
  /** Makes the enforcement points these and no others; their transaction keys follow. */
  registerPoints(points: readonly PointRegistration[]): Promise<Applied>;
  points(): readonly Point[];
  subjects(): readonly Extract<Fact, { kind: 'subject' }>[];
  /** What is known of one subject; nothing when it is not registered. */
  subject(spiffeId: string): Extract<Fact, { kind: 'subject' }> | undefined;
  /** For a registered, enabled subject; `ttlSeconds` 1 to 86,400, 600 if not said. */
  createJoinToken(request: {
    readonly spiffeId: string;
    readonly ttlSeconds?: number;
    readonly by: string;
  }): Promise<JoinToken | Refusal>;
  /**
   * The first SVID, for whom the join token is, or whom a registration lets join by what was shown.
   *
   * @param chain what the caller authenticated its handshake with: DER, leaf first; nothing when it stayed anonymous
   */
  enrol(request: JoinRequest, chain?: () => readonly Uint8Array[]): Promise<SvidGrant | Refusal>;
  /** The next SVID, for the subject of the peer's SVID. */
  renew(
    request: { readonly request: string },
    peer: ControlPeer | undefined,
  ): Promise<SvidGrant | Refusal>;
  /** Whether an SVID of that thumbprint was issued to that subject, and is not over. */
  wasIssued(svid: { readonly spiffeId: string; readonly thumbprint: string }): Promise<boolean>;
  /** An SVID for the authority's own listeners, for one hour whatever `svidTtlSeconds` says. */
  issueOwnSvid(publicKey: KeyObject, names?: HostNames): Promise<X509Svid>;
  /** Sessions that have not ended, the newest first, at most 10,000. */
  sessions(): Promise<readonly ClientSession[]>;
  /** Ids of a subject's sessions that have neither ended nor been revoked. */
  sessionsOf(subject: string): Promise<readonly string[]>;
  /** Ends it at every enforcement point; what it would take to get it back is refused too. */
  revoke(request: RevocationRequest): Promise<RevocationResult>;
  /** Refused with `organisation-cut-off` for a subject of an organisation that is cut off. */
  reinstate(request: ReinstateRequest): Promise<RevocationResult>;
  /** Takes from a running session a part of what it is good for: at every enforcement point, open streams included. */
  narrow(request: NarrowRequest): Promise<NarrowResult>;
  /** Gives a session back all that {@link narrow} took. */
  widen(order: {
    readonly session: string;
    readonly by: string;
  }): Promise<Refusal | { readonly isGranted: true }>;
  /** What a session is narrowed to now, if it is. */
  narrowing(session: string): Narrowing | undefined;
  /** A subject's own revocation, be it in force or behind the cut of its organisation. */
  ownRevocation(subject: string): Promise<Extract<Fact, { kind: 'revocation' }> | undefined>;
  /** The organisations that subjects are registered of. */
  organisations(): Promise<readonly OrganisationReport[]>;
  /**
   * Revokes all subjects of an organisation at once, and whoever is registered of it later; nothing when there is no such
   * organisation. It stands until {@link restore}, whatever is enabled meanwhile.
   */
  cutOff(
    organisation: string,
    options: { readonly reason: string; readonly by: string },
  ): Promise<{ readonly revoked: readonly string[]; readonly sequence: number } | undefined>;
  /** Takes back what {@link cutOff} did; who was revoked by themselves stays so. Nothing when there is no such organisation. */
  restore(
    organisation: string,
    options: { readonly by: string },
  ): Promise<{ readonly reinstated: readonly string[] } | undefined>;
  /** A token that permits nothing and shows whether its subject gets in. */
  probeToken(probe: Parameters<typeof issueProbeToken>[0]): Promise<string>;
  /** People's authenticators that are registered. */
  credentials(): readonly RegisteredCredential[];
  /** Registers a person's authenticator, for a subject that is registered and enabled. */
  registerCredential(
    credential: RegisteredCredential,
    options: { readonly by: string },
  ): Promise<CredentialResult>;
  /** What it approves from now on counts nowhere. */
  withdrawCredential(
    credentialId: string,
    options: { readonly by: string },
  ): Promise<CredentialResult>;
  /** How people sign in; absent where they do not. */
  readonly login?: PeopleLogin;
  /** Whether it is revoked now; a certificate by any of the hashes that it may be listed under. */
  readonly isRevoked: Revocations['covers'];
  /** Stops to follow the upstream of the X.509 authorities, and to send. */
  close(): void;
  /** Who calls a resource of the authority itself with an access token of ours. */
  bearer(
    call: BearerCall,
    options: { readonly audience: string; readonly scope: SignalScope },
  ): Promise<Bearer>;
  /** Removes facts that have done their time; to be called now and then. */
  sweep(): Promise<void>;
}

/** A token for one enrolment; shown once. */
export interface JoinToken {
  readonly isGranted: true;
  readonly joinToken: string;
  readonly spiffeId: string;
  readonly expiresAtMs: number;
}

/** What an operator does about people's logins. */
export interface PeopleLogin {
  /** A one-time code for registering a passkey, shown once; `ttlSeconds` 60 to 86,400, an hour if not said. */
  invite(request: {
    readonly subject: string;
    readonly ttlSeconds?: number;
    readonly by: string;
  }): Promise<
    { readonly isGranted: true; readonly code: string; readonly invite: Invite } | Refusal
  >;
  /** Recoveries that wait for a second person. */
  recoveries(): Promise<readonly Invite[]>;
  /** Everybody's passkeys, those included that sign nobody in any more. */
  passkeys(): Promise<readonly Passkey[]>;
  /** People's sessions that are not over, the newest first, at most 10,000. */
  sessions(): Promise<readonly PersonSession[]>;
  /** Sign-ins at identity providers. */
  readonly providers?: ProviderOperations;
}

/** What the room needs of the outside. */
export interface IdentityOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly keyring: Keyring;
  readonly options: {
    /** 10 to 86,400. */
    readonly svidTtlSeconds: number;
    /** 1 to 300; a client's own limit may be lower. */
    readonly accessTokenTtlSeconds: number;
    /** An https origin: no path, no query. */
    readonly issuerUrl: string;
    /** Host names and addresses for the SVIDs of some subjects; none if not said. */
    readonly hostNamesOf?: (spiffeId: string) => HostNames;
    /** How people sign in, as the bank has it at the moment; absent: they do not sign in here. */
    readonly login?: () => LoginSettings;
    /** Clusters whose pods may join; read at each join. None if not said. */
    readonly clusters?: () => readonly KubernetesCluster[];
    /** Types of authorization details (RFC 9396); none if not said. */
    readonly detailTypes?: readonly DetailType[];
    /** How long an X.509 authority issues: 10 s to 10 years, 24 h if not said. */
    readonly caLifetimeSeconds?: number;
    /** How long a key signs JWT-SVIDs: the same. */
    readonly jwtKeyLifetimeSeconds?: number;
    /** How long a key signs access tokens and ID tokens: the same. */
    readonly tokenKeyLifetimeSeconds?: number;
    /** How devices are kept, read at each use; as by an empty configuration if not said. */
    readonly devices?: () => DeviceSettings;
    /** How the directory is kept; by default nothing of a person spreads but whether it is enabled. */
    readonly people?: PeopleConfig;
    /** Clients that bring people by SCIM. */
    readonly scimClients?: readonly ScimClient[];
  };
  /** Who signs our X.509 authorities; each is its own root if not said. Closed by whoever opened it. */
  readonly upstream?: UpstreamAuthority;
  /** The HSM in which the keys of the authorities are made; they lie in the database if not said. */
  readonly openToken?: OpenToken;
  /** Told when a device became, or is no more, compliant: a signal to record and to answer. */
  readonly onCompliance?: (signal: Signal) => Promise<unknown>;
  /** How clients are told that an approval was answered (CIBA ping mode); absent: they poll. */
  readonly notify?: Notify;
  /** Told when news of the upstream's roots could not be had, or not be taken. */
  readonly onUpstreamError?: (error: unknown) => void;
  readonly now: Clock;
  /** Writes to the authority's log; everything issued or refused goes there before the answer leaves. */
  readonly record: Recorder;
  /** From 0 to below 1: spreads renewals. */
  readonly random?: () => number;
}

/** What a process does that only issues tokens, beside the one that has the whole room. */
export interface TokenIssuer {
  readonly issuer: Issuer;
  /** Whether it is revoked now. */
  readonly isRevoked: Revocations['covers'];
  /** Takes the web applications before which points stand: no row says which. */
  noteWebClients(points: readonly Pick<PointRegistration, 'name' | 'web'>[]): void;
  /** Records what this process turned away; to be called now and then. */
  sweep(): Promise<void>;
  /** Stops to send. */
  close(): void;
}

/** {@link IdentityOptions} of such a process: of keys it has those of token authorities, and of options those that issuing needs. */
export interface TokenIssuerOptions extends Omit<IdentityOptions, 'keyring' | 'upstream'> {
  /** Of the authority's keyring: 32 bytes. */
  readonly tokenSecret: Uint8Array;
}
