import { mkdir, readdir } from 'node:fs/promises';
import {
  createMetrics,
  createSealer,
  diskMeter,
  measureLog,
  openRecordKeyStore,
  openRetentionStore,
  openRollingLog,
  parseShardName,
  shardFolders,
  shardName,
} from '@countersign/audit';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import {
  type Recorder as IdentityRecorder,
  type Keyring,
  openIdentity,
  openIssuerSettings,
  openKeyring,
  openSignalKey,
} from '@countersign/identity';
import { renameVerifierKey, verifierKey } from '@countersign/ledger';
import { type Clock, compactId, type SubjectEntity } from '@countersign/model';
import {
  type BankConfig,
  checkRepository,
  entityFault,
  type Repository,
} from '@countersign/policy';
import { openBundleStore, openFactLog } from '@countersign/state';
import { policyTestRunner } from '../check/policy-tests.ts';
import { problemText } from '../check/problem-text.ts';
import { createClosers } from '../closers.ts';
import { CommandError } from '../command-line/command.ts';
import { type DataFolder, dataFolder } from '../data-folder.ts';
import { deviceSettings, webhookHosts } from '../devices/device-settings.ts';
import { servePostureWebhooks } from '../devices/serve-webhooks.ts';
import { federationStatus } from '../federation/federation-routes.ts';
import { measureFederation } from '../federation/measure-federation.ts';
import { openFederation, serveBundleEndpoints } from '../federation/open-federation.ts';
import { issuerSettingsText } from '../issuer/issuer-settings.ts';
import { listenerCertificates } from '../listener-certificate/listener-certificates.ts';
import { shownCertificate } from '../listener-certificate/shown-certificate.ts';
import { readPassphrase } from '../passphrase.ts';
import { peopleOptions, scimHosts } from '../people/people-options.ts';
import { serveScim } from '../people/serve-scim.ts';
import { personalKinds, personalTypes } from '../point/personal-types.ts';
import { throttleRepeats } from '../point/throttle-repeats.ts';
import { openOutbound } from '../signals/outbound.ts';
import { runSignals } from '../signals/run-signals.ts';
import { countAlarms } from '../watch/count-alarms.ts';
import { serveMetrics } from '../watch/serve-metrics.ts';
import { watchDatabaseClock } from '../watch/watch-database-clock.ts';
import { watchQueue } from '../watch/watch-queue.ts';
import { measureAuthority } from './authority-metrics.ts';
import { openHsm } from './keys/open-hsm.ts';
import { openUpstream, upstreamTrouble } from './keys/open-upstream.ts';
import { openOwnSvid } from './keys/own-svid.ts';
import { runRotation } from './keys/run-rotation.ts';
import { measureProviders, providerFileProblems, watchProviders } from './login-providers.ts';
import { loginSettings } from './login-settings.ts';
import { hostNames, pointHostNames } from './point-registrations.ts';
import { createPublisher } from './publisher.ts';
import { collectLogs } from './record/collect-logs.ts';
import { collectedLogs, shardsOf } from './record/collected-logs.ts';
import { createEventStream, type EventStream } from './record/event-stream.ts';
import { createRecorder, type Recorder } from './record/own-record.ts';
import { publishLogs } from './record/publish-logs.ts';
import { openRecordQuestions } from './record/record-questions.ts';
import { isOwnShard, retainedShards } from './record/retained-shards.ts';
import { startRetention } from './record/retention.ts';
import { revealed } from './record/revealed.ts';
import { type RunningExports, runExports } from './record/run-exports.ts';
import { watchLateLogs } from './record/watch-late-logs.ts';
import { witnessCheckpoints } from './record/witness-checkpoints.ts';
import { type CheckWith, checkAtStart } from './registered-identities.ts';
import { openRiskLoop, type RiskLoop } from './risk-loop.ts';
import { serveControl } from './serve-control.ts';
import { serveIssuer } from './serve-issuer.ts';
import { serveOperator } from './serve-operator.ts';
import { openState, tellStanding } from './state/open-state.ts';
import { STATE_AWAY, storageStatus } from './state/storage-status.ts';

const SWEEP_EVERY_MS = 60_000;
const QUEUE_EVERY_MS = 10 * 60_000;
/** `sun_path` of Linux is 108 bytes with its end; Node would cut a longer one and listen elsewhere. */
const SOCKET_PATH_BYTES_MAX = 107;

/** What an authority is started with. */
export interface RunAuthorityOptions {
  readonly repositoryFolder: string;
  readonly dataRoot: string;
  /** Events of a past week (NDJSON, each `replayed`), learned once when there is no risk state yet. */
  readonly historyFile?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** An authority that serves. */
export interface RunningAuthority {
  readonly repository: Repository;
  readonly addresses: {
    readonly control: string;
    readonly issuer: string;
    readonly admin: string;
    /** Where our bundle is served to partners. */
    readonly bundles: readonly string[];
  };
  createJoinToken(spiffeId: string): Promise<string>;
  /** Resolves when another authority has taken the state over: this one must stop. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

/**
 * Starts the authority: checks the repository, publishes it, and serves enforcement points and
 * workloads (control), OAuth clients (issuer) and the operator (admin socket).
 *
 * @throws {CommandError} when the repository has errors; they are told through `warn`
 */
export async function runAuthority(options: RunAuthorityOptions): Promise<RunningAuthority> {
  const { now, warn } = options;
  const folder = dataFolder(options.dataRoot);
  const adminBytes = Buffer.byteLength(folder.adminSocket);
  if (adminBytes > SOCKET_PATH_BYTES_MAX) {
    throw new CommandError(
      `cannot serve the operator at ${folder.adminSocket}: found ${adminBytes} bytes, expected at most ${SOCKET_PATH_BYTES_MAX}; take a data folder with a shorter path`,
    );
  }
  const closers = createClosers();
  try {
    const engine = createCedarEngine({ startThread: startNodeThread });
    closers.add(() => engine.close());
    const check: CheckWith = (registered) =>
      checkRepository(options.repositoryFolder, {
        ...{ engine, now, registered },
        runTest: policyTestRunner(engine, now),
      });
    const without = await check([]);
    const { repository, problems } = without;
    for (const problem of problems) warn(problemText(problem));
    if (!repository) {
      throw new CommandError('cannot start the authority: the repository has errors');
    }
    const { config } = repository;
    // As last applied: a new listener's name is in its point's next SVID, a new type of persons is sealed.
    let applied = repository;
    const { trustDomain } = config;
    const keyring = await openKeys(config, folder, options);

    const origin = `${trustDomain}/authority`;
    const metrics = createMetrics();
    // While it is being opened, the log takes no alarm.
    let tellShard = (detail: string): void => warn(`alarm log-shard: ${detail}`);
    const meter = diskMeter({ metrics, clock: () => performance.now() });
    const log = await openRollingLog({
      origin,
      signer: (name) => ({ name, ...keyring.log }),
      storage: shardFolders(folder.authorityLog, meter),
      length: () => applied.config.record.shard,
      ...{ now, newId: compactId },
      onTrouble: (detail) => tellShard(detail),
    });
    closers.add(() => log.close());
    measureLog(log, metrics);
    const alarms = countAlarms(metrics);
    const live = createEventStream();
    const stream: EventStream = {
      ...live,
      publish(events) {
        alarms.see(events);
        live.publish(events);
      },
    };
    let lose: (error: Error) => void = () => undefined;
    const lost = new Promise<Error>((resolve) => {
      lose = resolve;
    });
    const state = await openState(folder, { storage: config.authority.storage, onLost: lose });
    closers.add(() => state.close());
    const { database } = state;
    const recordKeys = await openRecordKeyStore({
      database,
      secret: keyring.recordSecret,
      now,
    });
    const retentionClasses = () => applied.config.record.retention.map(({ name }) => name);
    await recordKeys.keysFor('authority', retentionClasses());
    await recordKeys.addKinds(personalKinds(applied));
    if (!(await recordKeys.forget()))
      warn('somebody reads the state; erased keys stay in it a while');
    const record = createRecorder({
      log,
      now,
      seal: createSealer({
        holder: 'authority',
        keys: () => recordKeys.open,
        isPersonal: personalTypes(() => applied),
      }),
      publish: (events) => stream.publish(events),
    });

    tellShard = (detail) => {
      warn(`alarm log-shard: ${detail}`);
      record({ kind: 'alarm', alarm: 'log-shard', detail: detail.slice(0, 1000) }).catch(
        (error: Error) => warn(`the alarm was not recorded: ${error.message}`),
      );
    };
    const tellQueue = throttleRepeats<'log-queue-long'>({
      everyMs: QUEUE_EVERY_MS,
      now,
      // The log may be what is stuck: standard error is told first.
      tell(alarm, detail) {
        warn(`alarm ${alarm}: ${detail}`);
        record({ kind: 'alarm', alarm, detail }).catch((error: Error) =>
          warn(`the alarm was not recorded: ${error.message}`),
        );
      },
    });
    const tellClock = throttleRepeats<'clock-offset'>({
      everyMs: QUEUE_EVERY_MS,
      now,
      tell(kind, detail) {
        warn(`alarm ${kind}: ${detail}`);
        record({ kind: 'alarm', alarm: kind, detail }).catch((error: Error) =>
          warn(`the alarm was not recorded: ${error.message}`),
        );
      },
    });
    const queue = watchQueue(log, tellQueue);
    closers.add(() => queue.close());

    const alarm = (detail: string) => record({ kind: 'alarm', alarm: 'state-away', detail });
    const { storage } = config.authority;
    const stateStatus = storageStatus({ storage, stateFile: folder.stateFile, now });
    const tell = tellStanding({ warn, alarm });
    const factLog = await openFactLog(database, {
      ...{ trustDomain, now },
      onStanding(standing) {
        stateStatus.see(standing);
        tell(standing);
      },
    });
    const bundles = await openBundleStore(database);
    const { svidTtlSeconds, accessTokenTtlSeconds, issuerUrl, ca } = config.authority;
    const upstream =
      ca.upstream && openUpstream(ca.upstream, { trustDomain, now, warn, env: options.env });
    if (upstream) closers.add(() => upstream.close());
    const hsm = ca.pkcs11 && (await openHsm(ca.pkcs11, { env: options.env }));
    if (hsm) closers.add(() => hsm.close());
    const login = loginSettings(config, () => applied.config);
    const outbound = await openOutbound({ name: 'approvals' });
    closers.add(() => outbound.close());
    const identity = await openIdentity({
      database,
      factLog,
      keyring,
      now,
      record: record as IdentityRecorder,
      ...(upstream && { upstream }),
      ...(hsm && { openToken: hsm.open }),
      ...(login && { notify: outbound.post }),
      onUpstreamError: upstreamTrouble({ now, warn }),
      // Nothing is told before the listeners are there, and the risk loop is by then.
      onCompliance: (signal) => risk.respond(signal),
      options: {
        svidTtlSeconds,
        accessTokenTtlSeconds,
        issuerUrl,
        caLifetimeSeconds: ca.lifetimeSeconds,
        jwtKeyLifetimeSeconds: ca.jwtLifetimeSeconds,
        tokenKeyLifetimeSeconds: ca.tokenLifetimeSeconds,
        hostNamesOf: (spiffeId) => pointHostNames(spiffeId, applied.config),
        ...(login && { login }),
        detailTypes: config.authority.detailTypes ?? [],
        clusters: () => applied.config.authority.kubernetes ?? [],
        ...peopleOptions(config),
        devices: () => deviceSettings(applied.config),
      },
    });

    closers.add(async () => identity.close());

    const federation = await openFederation({ database, factLog, record, now, warn });
    closers.add(() => federation.close());

    const { playbooks } = repository;
    const snapshotFile = folder.riskSnapshot;
    const risk = await openRiskLoop({
      snapshotFile,
      reveal: (event) => revealed(event, recordKeys.open),
      identity,
      factLog,
      record,
      playbooks,
      now,
      warn,
    });
    closers.add(() => risk.close());
    let exports: RunningExports | undefined;
    const collected = new Set<(name: string) => void>();
    const issuers = (): readonly string[] =>
      (applied.config.authority.issuers ?? []).map(({ name }) => name);
    const collector = await collectLogs({
      folder: folder.mirrors,
      onCollected(name) {
        exports?.wake();
        for (const listener of collected) listener(name);
      },
      ...{ trustDomain, identity, stream, risk, record, now, warn },
    });
    closers.add(() => collector.close());

    const checkpoints = await witnessCheckpoints({
      ...{ folder, config, keyring, identity, collector, ownLog: log, record, now, warn },
    });
    closers.add(() => checkpoints.close());

    // Nobody reads them where the state is a file.
    const issuerSettings =
      database.engine === 'postgres' ? await openIssuerSettings(database) : undefined;
    const publisher = createPublisher({
      check,
      current: () => applied,
      async take(next) {
        // Before a point seals by them.
        await recordKeys.addKinds(personalKinds(next));
        applied = next;
        if (issuerSettings) await issuerSettings.put(issuerSettingsText(next));
      },
      setPlaybooks: (next) => risk.setPlaybooks(next),
      faultsHere: ({ config: next }) => providerFileProblems(next),
      ...{ identity, federation, bundles, keyring, record, now },
    });
    const atStart = await checkAtStart(check, { without, identity, record, warn });
    applied = atStart.repository ?? repository;
    await publisher.publish(applied, 'system');
    if (options.historyFile !== undefined && risk.isNew) {
      const learned = learnHistory(options.historyFile, { risk, record, warn });
      closers.add(() => learned);
    }
    await risk.catchUp(
      collector,
      collectedLogs(collector, identity).map(({ name }) => name),
    );

    const running = await runExports(config.authority.exports ?? [], {
      folder: folder.exports,
      ...{ log, collector, identity, record, now, warn },
    });
    exports = running;
    closers.add(() => running.close());

    const customerFault = (spiffeId: string, entity: SubjectEntity) =>
      entityFault(spiffeId, entity, applied);
    const { control, issuer, issuerCertificate, signals: signalsConfig } = config.authority;
    const controlUrl = `https://${control.host}:${control.port}`;
    const rotation = await runRotation({
      files: { json: folder.trustFile, pem: folder.trustPemFile },
      ...{ identity, factLog, controlUrl, warn },
    });
    closers.add(() => rotation.close());
    const own = await openOwnSvid(identity, {
      names: hostNames([
        ...[control.host, issuer.host],
        ...(signalsConfig ? [signalsConfig.address.host] : []),
        ...scimHosts(config),
        ...webhookHosts(config),
      ]),
      ...{ now, warn },
    });
    closers.add(() => own.close());
    const certificates = listenerCertificates({
      ...{ metrics, now },
      alarm(alarm, detail) {
        warn(`alarm ${alarm}: ${detail}`);
        record({ kind: 'alarm', alarm, detail: detail.slice(0, 1000) }).catch((error: Error) =>
          warn(`the alarm was not recorded: ${error.message}`),
        );
      },
      record(action, shown) {
        record({ kind: 'administration', action, by: 'system', ...shown }).catch((error: Error) =>
          warn(`that ${shown.target} shows its certificate was not recorded: ${error.message}`),
        );
      },
    });
    closers.add(() => certificates.close());
    const logVerifierKey = verifierKey(origin, keyring.log.publicKey);
    const retentionStore = await openRetentionStore(database);
    const questions = openRecordQuestions({
      removed: () => retentionStore.removed(),
      ...{ folder, log, logVerifierKey, identity, collector, now, warn },
    });
    closers.add(() => questions.close());
    const published = publishLogs({
      isOn: () => applied.config.record.publish,
      own: log,
      ownVerifierKey: logVerifierKey,
      checkpoints: checkpoints.log,
      ...{ folder, identity, collector, record, now, warn },
    });
    closers.add(() => published.close());
    const keyVersions = new Map<string, number>();
    const privacy = { recordKeys, keyVersions, personalKinds: () => recordKeys.kinds };
    const controlListener = await serveControl({
      retentionClasses,
      address: control,
      factSigner: keyring.facts,
      issuers,
      ...{ storage: config.authority.storage, tokenSecret: keyring.tokenSecret },
      publishedFolder: folder.published,
      readers: () => applied.config.record.readers,
      customerSources: () => applied.config.authority.customers?.sources ?? [],
      customerFault,
      publishNow: (name) => published.publishNow(name),
      verifierKey: (name) =>
        name === 'checkpoints'
          ? checkpoints.log().verifierKey
          : isOwnShard(name)
            ? renameVerifierKey(logVerifierKey, shardName(origin, parseShardName(name)?.period))
            : collector.point(name)?.verifierKey,
      cosigned: () => checkpoints.status().cosigned?.note,
      defaultLog() {
        const gateway = applied.config.points.find(({ kind }) => kind === 'gateway')?.name;
        return gateway && shardsOf(collector, gateway).at(-1);
      },
      ...privacy,
      ...{ own, identity, collector, factLog, bundles, questions, record, now, warn },
    });
    closers.add(() => controlListener.close());
    const lateLogs = watchLateLogs({
      points: () => identity.points(),
      connected: () => controlListener.connected(),
      ...{ collector, record, now, warn },
    });
    closers.add(() => lateLogs.close());
    const clock =
      database.engine === 'postgres'
        ? await watchDatabaseClock({ ...{ database, now, metrics }, alarm: tellClock })
        : undefined;
    closers.add(() => clock?.close());
    const issuerListener = await serveIssuer(identity.issuer, {
      ...{ address: issuer, own, now },
      // Others go by what this clock writes, and this one by theirs.
      fault: () => (applied.config.authority.issuers ? clock?.fault() : undefined),
      away: () => (storage && stateStatus.status().away ? STATE_AWAY : undefined),
      certificate:
        issuerCertificate && (await certificates.open('authority.issuer', issuerCertificate)),
    });
    closers.add(() => issuerListener.close());
    const signals =
      signalsConfig &&
      (await runSignals({
        config: signalsConfig,
        receivers: () => applied.config.authority.signals?.receivers ?? [],
        signer: await openSignalKey({
          folder: folder.keysFolder,
          passphrase: await passphraseOf(config, folder, options),
        }),
        reveal: (event) => revealed(event, recordKeys.open),
        respond: risk.respond,
        onCollected(listener) {
          collected.add(listener);
          return () => void collected.delete(listener);
        },
        ...{ collector, issuers },
        ...{ database, factLog, identity, log, own, certificates, record, now, warn },
      }));
    if (signals) closers.add(() => signals.close());
    const settings = config.authority.people?.scim;
    if (settings) {
      const { scimClients: clients = [] } = peopleOptions(config);
      const scim = await serveScim({
        ...{ settings, clients, identity, own, certificates, now },
        record: record as IdentityRecorder,
      });
      closers.add(() => scim.close());
    }
    const webhooks = config.authority.devices?.webhooks;
    if (webhooks) {
      const served = await servePostureWebhooks({
        ...{ config: webhooks, identity, database, own, certificates, now },
        settings: () => deviceSettings(applied.config),
        record: record as IdentityRecorder,
      });
      closers.add(() => served.close());
    }
    const providers = watchProviders(identity.login?.providers, { record, warn });
    closers.add(() => providers.close());
    measureProviders(metrics, providers.status);
    measureAuthority(metrics, {
      ...{ identity, collector },
      connected: () => controlListener.connected(),
      exports: () => running.status(),
      index: () => questions.status(),
      published: () => published.status(),
      storage: stateStatus.status,
    });
    if (config.authority.metrics) {
      const served = await serveMetrics(metrics, config.authority.metrics);
      closers.add(() => served.close());
    }
    const endpoints = await serveBundleEndpoints(config, { identity, own, certificates });
    for (const endpoint of endpoints) closers.add(() => endpoint.close());
    measureFederation(metrics, { federation, endpoints, now });
    const by = `local:uid=${process.getuid?.() ?? 0}`;
    const retention = startRetention({
      shards: retainedShards({ folder, log, logVerifierKey, collector, identity }),
      store: retentionStore,
      index: questions,
      exports: () => running.status(),
      classes: () => applied.config.record.retention,
      ...{ folder, log, logVerifierKey, collector, published, record, now, warn },
      ...{ recordKeys, personalKinds: privacy.personalKinds },
    });
    closers.add(() => retention.close());
    const operator = await serveOperator(folder.adminSocket, {
      connected: () => controlListener.connected(),
      apply: ({ again }) => publisher.apply(by, { started: config, again }),
      ...{ publisher, customerFault },
      risk: risk.engine,
      forget: risk.forget,
      publishedFolder: folder.published,
      checkpoints: checkpoints.status,
      exports: () => running.status(),
      index: () => questions.status(),
      published: () => published.status(),
      metrics,
      ...{ by, trustDomain, identity, collector, bundles, factLog, log, stream, record, questions },
      retention,
      signals,
      config: () => applied.config,
      surfaces: () => applied.surfaces,
      shownCertificate: (listener) => shownCertificate(listener, { questions }),
      certificates: () => certificates.status(),
      identityProviders: providers.status,
      storage: stateStatus.status,
      issuers,
      now,
      ...privacy,
      ...{ federation, endpoints },
      federationStatus: () => federationStatus({ federation, identity, endpoints }),
    });
    closers.add(() => operator.close());

    const sweeper = setInterval(() => {
      identity.sweep().catch((error: Error) => warn(`sweep failed: ${error.message}`));
      // The next quarter's keys in time, and what a reader of the database kept from being forgotten.
      Promise.all([recordKeys.keysFor('authority', retentionClasses()), recordKeys.forget()]).catch(
        (error: Error) => warn(`the record's keys: ${error.message}`),
      );
    }, SWEEP_EVERY_MS);
    sweeper.unref();
    closers.add(() => clearInterval(sweeper));
    await record({ kind: 'administration', action: 'authority-started', by: 'system' });
    closers.add(() =>
      record({ kind: 'administration', action: 'authority-stopped', by: 'system' }),
    );

    return {
      repository,
      addresses: {
        ...{ control: controlUrl, issuer: issuerUrl, admin: folder.adminSocket },
        bundles: endpoints.map(
          ({ profile, address: { host, port }, path }) =>
            `https://${host}:${port}${path} ${profile}`,
        ),
      },
      async createJoinToken(spiffeId) {
        const made = await identity.createJoinToken({ spiffeId, by: 'system' });
        if (made.isGranted) return made.joinToken;
        throw new CommandError(`cannot make a join token for ${spiffeId}: ${made.code}`);
      },
      lost,
      close: closers.closeAll,
    };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

async function openKeys(
  config: BankConfig,
  folder: DataFolder,
  options: Pick<RunAuthorityOptions, 'env' | 'warn'>,
): Promise<Keyring> {
  await mkdir(folder.keysFolder, { recursive: true, mode: 0o700 });
  const passphrase = await passphraseOf(config, folder, options);
  return openKeyring({ folder: folder.keysFolder, passphrase });
}

async function passphraseOf(
  config: BankConfig,
  folder: DataFolder,
  { env, warn }: Pick<RunAuthorityOptions, 'env' | 'warn'>,
): Promise<string> {
  const { passphrase, isMade } = await readPassphrase({
    configuredFile: config.authority.passphraseFile,
    defaultFile: folder.passphraseFile,
    hasKeys: (await readdir(folder.keysFolder)).length > 0,
    env,
  });
  if (isMade) {
    warn(
      `the keys' passphrase lies beside them in ${folder.passphraseFile}; name another place with authority.passphraseFile`,
    );
  }
  return passphrase;
}

/** Beside the start, not before it: nobody waits for a baseline to be served. */
async function learnHistory(
  file: string,
  { risk, record, warn }: { risk: RiskLoop; record: Recorder; warn: (text: string) => void },
): Promise<void> {
  try {
    const events = await risk.learn(file);
    const detail = { events };
    await record({ kind: 'administration', action: 'baseline-replayed', by: 'system', detail });
  } catch (error) {
    warn(`cannot learn from ${file}: ${error instanceof Error ? error.message : error}`);
  }
}
