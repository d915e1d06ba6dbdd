import { migrate } from '@countersign/state';
import { applyRegistrations } from './apply-registrations.ts';
import { Authorities } from './authorities/authorities.ts';
import { authorityKeys } from './authorities/authority-keys.ts';
import { type AuthoritySecrets, secretsOf } from './authorities/authority-secrets.ts';
import { bundleText } from './authorities/own-bundle.ts';
import { checkOptions, isWithin, optionsError } from './check-options.ts';
import { Credentials } from './credentials.ts';
import { Customers } from './customers/customers.ts';
import { PersonCredentials } from './customers/person-credentials.ts';
import { DeviceRegister } from './devices/device-register.ts';
import { DEFAULT_DEVICES } from './devices/device-settings.ts';
import { Devices } from './devices/devices.ts';
import { ownDevices } from './devices/own-devices.ts';
import type { Identity, IdentityOptions, TokenIssuer, TokenIssuerOptions } from './identity.ts';
import {
  openProviderLogins,
  providerOperations,
  withProviders,
} from './idp/open-provider-logins.ts';
import { cibaMigrations } from './issuer/ciba/ciba-tables.ts';
import { personOf } from './issuer/ciba/person-of.ts';
import { createIssuer } from './issuer/issuer.ts';
import {
  createToken,
  JOIN_TOKEN_TTL_SECONDS,
  JOIN_TOKEN_TTL_SECONDS_MAX,
} from './joining/join-tokens.ts';
import { Joining } from './joining/joining.ts';
import type { Keyring } from './keyring.ts';
import { LoginFailures } from './login/failures.ts';
import { idleSeconds, type LoginSettings } from './login/login-settings.ts';
import { Logins } from './login/logins.ts';
import { PersonSessions } from './login/person-sessions.ts';
import { Narrowings } from './narrowings.ts';
import { JWT_SVID_SECONDS, Nodes } from './nodes/nodes.ts';
import { renewalPace, svidPace } from './nodes/paces.ts';
import { CutOffs } from './partners/cut-offs.ts';
import { organisationsOf } from './partners/organisations.ts';
import { issueProbeToken } from './partners/probe-token.ts';
import { Ceremonies } from './passkeys/ceremonies.ts';
import { Invites } from './passkeys/invites.ts';
import { allPasskeys } from './passkeys/passkey-rows.ts';
import { Passkeys } from './passkeys/passkeys.ts';
import { openPeople } from './people/open-people.ts';
import { DEFAULT_PEOPLE } from './people/people-config.ts';
import { refusal } from './refusal.ts';
import { registeredSubjects } from './registered.ts';
import { Registry } from './registry.ts';
import { RequestPace } from './request-pace.ts';
import { Revocations } from './revocations.ts';
import { Serial } from './serial.ts';
import { liveSessions, liveSessionsOf } from './sessions.ts';
import { checkBearer } from './signals/bearer.ts';
import { type ControlPeer, Svids } from './svids.ts';
import { type IdentityTables, migrations } from './tables.ts';
import { openWrittenRegistrations } from './written-registrations.ts';

/** SPIRE's. */
const AUTHORITY_SECONDS = 86_400;

/**
 * Opens the room: its tables, the X.509 authority, the issuer, and the facts about both.
 *
 * @throws {IdentityError} `ERR_IDENTITY_OPTIONS`, `ERR_IDENTITY_AUTHORITY` when a kept key does not open
 */
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { room } = await openRoom({ ...options, secrets: secretsOf(options.keyring) });
  return room;
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
