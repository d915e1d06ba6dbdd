import type { KeyObject } from 'node:crypto';
import type { Clock, DetailType, Fact, Registration, Signal } from '@countersign/model';
import type { RegisteredCredential } from '@countersign/sdk';
import type { UpstreamAuthority, X509Svid } from '@countersign/spiffe';
import { type Database, type FactLog, migrate, type TrustAnchors } from '@countersign/state';
import { applyRegistrations } from './apply-registrations.ts';
import { Authorities } from './authorities/authorities.ts';
import { authorityKeys, type OpenToken } from './authorities/authority-keys.ts';
import type { AuthorityOperations } from './authorities/authority-operations.ts';
import { type AuthoritySecrets, secretsOf } from './authorities/authority-secrets.ts';
import { bundleText, type TrustBundleFact } from './authorities/own-bundle.ts';
import { type CredentialResult, Credentials } from './credentials.ts';
import { Customers } from './customers/customers.ts';
import { PersonCredentials } from './customers/person-credentials.ts';
import { DeviceRegister } from './devices/device-register.ts';
import { DEFAULT_DEVICES, type DeviceSettings } from './devices/device-settings.ts';
import { Devices } from './devices/devices.ts';
import { ownDevices } from './devices/own-devices.ts';
import { IdentityError } from './identity-error.ts';
import {
  openProviderLogins,
  type ProviderOperations,
  providerOperations,
  withProviders,
} from './idp/open-provider-logins.ts';
import { cibaMigrations } from './issuer/ciba/ciba-tables.ts';
import { personOf } from './issuer/ciba/person-of.ts';
import type { Notify } from './issuer/ciba/pings.ts';
import { createIssuer, type Issuer } from './issuer/issuer.ts';
import {
  createToken,
  JOIN_TOKEN_TTL_SECONDS,
  JOIN_TOKEN_TTL_SECONDS_MAX,
} from './joining/join-tokens.ts';
import { Joining, type JoinRequest } from './joining/joining.ts';
import type { KubernetesCluster } from './joining/token-review.ts';
import type { Keyring } from './keyring.ts';
import { LoginFailures } from './login/failures.ts';
import { idleSeconds, type LoginSettings } from './login/login-settings.ts';
import { Logins } from './login/logins.ts';
import { type PersonSession, PersonSessions } from './login/person-sessions.ts';
import { type Narrowing, Narrowings, type NarrowRequest, type NarrowResult } from './narrowings.ts';
import type { Recorder } from './new-event.ts';
import { JWT_SVID_SECONDS, Nodes } from './nodes/nodes.ts';
import { renewalPace, svidPace } from './nodes/paces.ts';
import { CutOffs, type ReinstateRequest } from './partners/cut-offs.ts';
import { type OrganisationReport, organisationsOf } from './partners/organisations.ts';
import { issueProbeToken } from './partners/probe-token.ts';
import { Ceremonies } from './passkeys/ceremonies.ts';
import { type Invite, Invites } from './passkeys/invites.ts';
import { allPasskeys, type Passkey } from './passkeys/passkey-rows.ts';
import { Passkeys } from './passkeys/passkeys.ts';
import { openPeople } from './people/open-people.ts';
import type { People } from './people/people.ts';
import { DEFAULT_PEOPLE, type PeopleConfig } from './people/people-config.ts';
import type { ScimClient } from './people/scim/scim-clients.ts';
import { type Refusal, refusal } from './refusal.ts';
import { type Registered, registeredSubjects } from './registered.ts';
import {
  type Applied,
  type Point,
  type PointRegistration,
  type RegisteredEntity,
  Registry,
} from './registry.ts';
import { RequestPace } from './request-pace.ts';
import { type RevocationRequest, type RevocationResult, Revocations } from './revocations.ts';
import { Serial } from './serial.ts';
import { type ClientSession, liveSessions, liveSessionsOf } from './sessions.ts';
import { type Bearer, type BearerCall, checkBearer, type SignalScope } from './signals/bearer.ts';
import { type ControlPeer, type HostNames, type SvidGrant, Svids } from './svids.ts';
import { type IdentityTables, migrations } from './tables.ts';
import {
  type KeptRegistration,
  openWrittenRegistrations,
  type RegistrationChange,
} from './written-registrations.ts';

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

/** SPIRE's. */
const AUTHORITY_SECONDS = 86_400;
const AUTHORITY_SECONDS_MAX = 10 * 365 * 86_400;

/**
 * Opens the room: its tables, the X.509 authority, the issuer, and the facts about both.
 *
 * @throws {IdentityError} `ERR_IDENTITY_OPTIONS`, `ERR_IDENTITY_AUTHORITY` when a kept key does not open
 */
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { room } = await openRoom({ ...options, secrets: secretsOf(options.keyring) });
  return room;
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

/**
 * Opens the issuer alone: another process has the room on the same database, makes its tables, rotates its authorities, and
 * cleans up. Who is registered, who is revoked and what signs follow that process; what this one revokes follows there.
 *
 * @throws {IdentityError} as {@link openIdentity}; `ERR_IDENTITY_AUTHORITY` also when `tokenSecret` is of another authority
 */
export async function openTokenIssuer(options: TokenIssuerOptions): Promise<TokenIssuer> {
  const { room, registry } = await openRoom({
    ...options,
    secrets: { tokens: options.tokenSecret },
  });
  const { issuer, isRevoked, close } = room;
  return {
    ...{ issuer, isRevoked, close },
    noteWebClients: (points) => registry.noteWebClients(points),
    sweep: () => issuer.tellTurnedAway(),
  };
}

/** The room, whole with a keyring; without one nothing of it but the issuer is to be used. */
async function openRoom(
  options: Omit<IdentityOptions, 'keyring'> & {
    readonly keyring?: Keyring;
    readonly secrets: AuthoritySecrets;
  },
): Promise<{ readonly room: Identity; readonly registry: Registry }> {
  const { database, factLog, keyring, secrets, now, record } = options;
  const { svidTtlSeconds, accessTokenTtlSeconds, issuerUrl, hostNamesOf, clusters } =
    options.options;
  const { onUpstreamError = () => undefined } = options;
  checkOptions(options.options);
  await migrate(database, { room: 'identity', migrations });
  await migrate(database, { room: 'identity/ciba', migrations: cibaMigrations });
  // What changes who is registered or revoked, and what is granted by it, runs one at a time, over all processes.
  const serial = new Serial({ database, factLog, name: 'identity' });
  const openAuthorities = {
    ...{ database, factLog, secrets, record, serial, now },
    lifetimeSeconds: {
      x509: options.options.caLifetimeSeconds ?? AUTHORITY_SECONDS,
      jwt: options.options.jwtKeyLifetimeSeconds ?? AUTHORITY_SECONDS,
      token: options.options.tokenKeyLifetimeSeconds ?? AUTHORITY_SECONDS,
    },
    issuerUrl,
    jwtSvidSeconds: JWT_SVID_SECONDS,
    upstream: options.upstream,
    keys: authorityKeys({ trustDomain: factLog.trustDomain, openToken: options.openToken }),
  };
  const authorities = keyring
    ? await Authorities.open({ ...openAuthorities, keyring })
    : await Authorities.follow(openAuthorities);
  const unfollow = options.upstream?.followRoots?.({
    onRoots: (x509Roots) => {
      authorities.takeRoots(x509Roots).catch(onUpstreamError);
    },
    onError: onUpstreamError,
  });
  let changes = 0;
  const changed = new Set<() => void>();
  const tellChange = (): void => {
    changes += 1;
    for (const listener of changed) listener();
  };
  const registry = new Registry(database, factLog);
  await registry.load(tellChange);
  const writtenRegistrations = await openWrittenRegistrations(database);
  const tables = () => database.tables<IdentityTables>();
  const revocations = new Revocations({
    factLog,
    tables,
    record,
    now,
    tokenTtlSecondsMax: accessTokenTtlSeconds,
    isCustomer: async (spiffeId) => (await customers.get(spiffeId)) !== undefined,
  });
  const narrowings = new Narrowings({ factLog, registry, tables, record, serial, now });
  const credentials = new Credentials({ factLog, record });
  const register = new DeviceRegister(database, factLog);
  registry.leaveDevices((spiffeId) => register.has(spiffeId));
  const people = await openPeople({
    ...{ database, factLog, registry, serial, record, now },
    config: options.options.people ?? DEFAULT_PEOPLE,
    clients: options.options.scimClients ?? [],
    isKeptElsewhere: keyring === undefined,
  });
  registry.leaveTo((spiffeId) => people.has(spiffeId));
  const customers = await Customers.open({ database, factLog, serial, record, now });
  const svids = new Svids({
    keyOfDevice: (spiffeId) => register.get(spiffeId)?.keyThumbprint,
    database,
    factLog,
    registry,
    revocations,
    authorities,
    record,
    serial,
    now,
    svidTtlSeconds,
    hostNamesOf: hostNamesOf ?? (() => ({})),
    random: options.random ?? Math.random,
  });
  const devices = await Devices.open({
    ...{ database, factLog, register, registry, revocations, svids, serial, record, now },
    settings: options.options.devices ?? (() => DEFAULT_DEVICES),
    onCompliance: options.onCompliance ?? (async () => undefined),
  });
  const joining = new Joining({
    ...{ registry, revocations, svids, now },
    clusters: clusters ?? (() => []),
    trustDomain: factLog.trustDomain,
  });
  const pace = new RequestPace({ record, now });
  const refuseRenewal = async (peer: ControlPeer | undefined) => {
    if (peer === undefined) return undefined;
    const { spiffeId, thumbprint } = peer;
    const ttlSeconds = registry.registration(spiffeId)?.svidTtlSeconds ?? svidTtlSeconds;
    // By the SVID first: who has a stolen one that is revoked must not use up what its subject has.
    const paces = [
      [`renewal ${thumbprint}`, svidPace(ttlSeconds)],
      [`renewal ${spiffeId}`, renewalPace(ttlSeconds)],
    ] as const;
    return pace.refuse(spiffeId, new Map(paces));
  };
  factLog.subscribe(tellChange);
  const nodes = new Nodes({
    ...{ factLog, registry, revocations, svids, svidTtlSeconds, pace, record, now },
    jwt: () => authorities.jwt(),
    changes: () => changes,
    standing: (spiffeId) => svids.standing(spiffeId),
    bundle: () => bundleText(authorities.bundle()),
    refusedAuthorities: () => authorities.refused(),
  });
  const settings = options.options.login;
  const logins =
    settings &&
    openLogins(options, { settings, registry, revocations, credentials, customers, serial });
  const idp = logins && (await openProviderLogins({ ...options, issuerUrl, logins }));
  const issuer = createIssuer({
    ...(logins && { logins }),
    ...(idp && { idp }),
    ownDevices: ownDevices(devices),
    detailTypes: options.options.detailTypes ?? [],
    ...{ personOf: personOf({ database, registry, customers }), notify: options.notify },
    database,
    factLog,
    registry,
    revocations,
    narrowings,
    tokenKeys: authorities.tokens,
    record,
    now,
    issuerUrl,
    accessTokenTtlSeconds,
  });
  const registered = async () =>
    registeredSubjects(database, {
      written: await writtenRegistrations.all(),
      registrations: registry.registrations(),
      refusalOf: (spiffeId) => svids.standing(spiffeId)?.code,
      nowMs: now(),
    });
  const cutOffs = new CutOffs({
    ...{ database, factLog, revocations, record, now },
    subjectsOf: (organisation) =>
      registry
        .registrations()
        .filter((each) => each.organisation?.name === organisation)
        .map(({ subject }) => subject.id),
  });
  const room: Identity = {
    authorityId: registry.authorityId,
    get trustAnchors() {
      if (keyring === undefined)
        throw new Error('broken invariant: its anchors are not known here');
      return {
        trustDomain: factLog.trustDomain,
        x509Authorities: authorities.bundle().x509Authorities,
        factKeys: [keyring.facts.publicJwk],
        policyKeys: [keyring.policy.publicJwk],
      };
    },
    authorities,
    close: () => {
      unfollow?.();
      issuer.close();
    },
    rotate: () => authorities.rotate(),
    bundle: () => authorities.bundle(),
    taintedAuthorities: () => authorities.taintedX509(),
    refusedAuthorities: () => authorities.refused(),
    issuer,
    publishedBundle: () => bundleText(authorities.bundle()),
    nodes,
    devices,
    people,
    customers,
    registration: (spiffeId) => registry.registration(spiffeId),
    registrations: registered,
    onChange(listener) {
      changed.add(listener);
      return () => void changed.delete(listener);
    },
    applyRegistrations: (registrations, entities, more = {}) =>
      serial.run(() =>
        applyRegistrations(
          { registrations, entities, ...more },
          {
            ...{ factLog, registry, cutOffs, writtenRegistrations, tellChange, record, now },
            inForce: (each) => people.inForce(each),
          },
        ),
      ),
    writtenRegistrations: () => writtenRegistrations.all(),
    registerPoints: (points) => serial.run(() => registry.registerPoints(points)),
    points: () => registry.points(),
    subjects: () => registry.subjects(),
    subject: (spiffeId) => registry.subject(spiffeId),
    createJoinToken: (request) =>
      serial.run(async () => {
        const { spiffeId, ttlSeconds = JOIN_TOKEN_TTL_SECONDS, by } = request;
        if (!isWithin(ttlSeconds, 1, JOIN_TOKEN_TTL_SECONDS_MAX)) {
          throw optionsError(
            `a join token of ${ttlSeconds} s`,
            `1 to ${JOIN_TOKEN_TTL_SECONDS_MAX}`,
          );
        }
        const subject = registry.subject(spiffeId);
        if (subject === undefined) return refusal('subject-unregistered', `found ${spiffeId}`);
        if (!subject.enabled) return refusal('subject-disabled', `found ${spiffeId}`);
        const made = await createToken(database, { spiffeId, ttlSeconds, nowMs: now() });
        await record({
          kind: 'administration',
          action: 'join-token-created',
          by,
          target: spiffeId,
          detail: { expiresAtMs: made.expiresAtMs },
        });
        return { isGranted: true, spiffeId, ...made };
      }),
    enrol: (request, chain = () => []) => joining.enrol(request, chain),
    renew: async (request, peer) => (await refuseRenewal(peer)) ?? svids.renew(request, peer),
    wasIssued: (svid) => svids.wasIssued(svid),
    issueOwnSvid: (publicKey, names = {}) => serial.run(() => svids.issueOwn(publicKey, names)),
    sessions: () => liveSessions(database, now()),
    sessionsOf: (subject) => liveSessionsOf(database, subject, now()),
    revoke: (request) => serial.run(() => cutOffs.revoke(request)),
    reinstate: (request) => serial.run(() => cutOffs.reinstate(request)),
    narrow: (request) => serial.run(() => narrowings.narrow(request)),
    widen: (order) => serial.run(() => narrowings.widen(order)),
    narrowing: (session) => narrowings.of(session),
    ownRevocation: (subject) => cutOffs.ownRevocation(subject),
    organisations: async () =>
      organisationsOf(await registered(), { cutOff: await cutOffs.names(), nowMs: now() }),
    cutOff: (name, order) => serial.run(() => cutOffs.cut(name, order)),
    restore: (name, order) => serial.run(() => cutOffs.restore(name, order)),
    probeToken: (probe) =>
      issueProbeToken(probe, { tokenKeys: authorities.tokens, issuerUrl, record, now }),
    credentials: () => credentials.all(),
    registerCredential: (credential, { by }) =>
      serial.run(() => credentials.register(credential, by)),
    withdrawCredential: (credentialId, { by }) =>
      serial.run(() =>
        logins
          ? logins.withdrawn(credentialId, { by, reason: 'withdrawn' })
          : credentials.withdraw(credentialId, by),
      ),
    ...(logins && {
      login: {
        invite: (request) => logins.invite(request),
        recoveries: () => logins.waitingRecoveries(),
        passkeys: () => allPasskeys(database),
        sessions: async () => {
          const sessions = await logins.sessions.all();
          return idp ? withProviders(sessions, idp) : sessions;
        },
        ...(idp && { providers: providerOperations(idp) }),
      },
    }),
    isRevoked: revocations.covers.bind(revocations) as Revocations['covers'],
    bearer: (call, asked) =>
      checkBearer(call, {
        ...{ ...asked, issuerUrl, tokenKeys: authorities.tokens, registry, revocations, now },
        narrowings,
      }),
    sweep: async () => {
      await serial.run(async () => {
        await revocations.complete();
        await people.sweep();
        const removes = revocations.expired();
        const puts = registry.expired(now());
        if (removes.length + puts.length > 0) await factLog.append({ puts, removes });
        for (const { id } of puts) {
          await record({
            kind: 'administration',
            action: 'registration-expired',
            by: 'system',
            target: id,
          });
        }
      });
      await issuer.sweep();
      await issuer.tellTurnedAway();
      // Last: what ended makes room for it.
      await devices.sweep();
    },
  };
  return { room, registry };
}

/** People's logins, over what is there: one store of authenticators, one of revocations. */
function openLogins(
  {
    database,
    now,
    record,
    options: { issuerUrl },
  }: Pick<IdentityOptions, 'database' | 'now' | 'record' | 'options'>,
  shared: {
    readonly settings: () => LoginSettings;
    readonly registry: Registry;
    readonly revocations: Revocations;
    readonly credentials: Credentials;
    readonly customers: Customers;
    readonly serial: Serial;
  },
): Logins {
  const { settings } = shared;
  const credentials = new PersonCredentials({ ...shared, database, record });
  const ceremonies = new Ceremonies({ database, now });
  const logins: Logins = new Logins({
    ...{ ...shared, credentials, record, now },
    passkeys: new Passkeys({
      ...{ database, credentials, ceremonies, settings, now, origin: issuerUrl },
      standingOf: (subject) => logins.standingOf(subject),
    }),
    invites: new Invites({ database, now }),
    sessions: new PersonSessions({
      ...{ database, now },
      idleSeconds: (acr) => idleSeconds(settings(), acr),
    }),
    failures: new LoginFailures({ database, now }),
  });
  return logins;
}

function checkOptions(options: IdentityOptions['options']): void {
  const { svidTtlSeconds, accessTokenTtlSeconds, issuerUrl } = options;
  if (!isWithin(svidTtlSeconds, 10, 86_400)) {
    throw optionsError(`SVIDs of ${svidTtlSeconds} s`, '10 to 86400');
  }
  if (!isWithin(accessTokenTtlSeconds, 1, 300)) {
    throw optionsError(`access tokens of ${accessTokenTtlSeconds} s`, '1 to 300');
  }
  const { caLifetimeSeconds, jwtKeyLifetimeSeconds, tokenKeyLifetimeSeconds } = options;
  for (const seconds of [caLifetimeSeconds, jwtKeyLifetimeSeconds, tokenKeyLifetimeSeconds]) {
    if (seconds !== undefined && !isWithin(seconds, 10, AUTHORITY_SECONDS_MAX)) {
      throw optionsError(`an authority of ${seconds} s`, `10 to ${AUTHORITY_SECONDS_MAX}`);
    }
  }
  const url = URL.parse(issuerUrl);
  if (url?.protocol !== 'https:' || url.origin !== issuerUrl) {
    throw optionsError(`issuer '${issuerUrl}'`, 'an https origin without path');
  }
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function optionsError(found: string, expected: string): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_OPTIONS',
    `could not serve identity: found ${found}, expected ${expected}`,
  );
}
