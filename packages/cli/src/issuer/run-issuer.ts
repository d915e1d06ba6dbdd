import { join } from 'node:path';
import {
  createMetrics,
  createSealer,
  createShardPusher,
  diskMeter,
  measureLog,
  openRollingLog,
  shardFolders,
} from '@countersign/audit';
import {
  type Recorder as IdentityRecorder,
  openIssuerSettings,
  openTokenIssuer,
} from '@countersign/identity';
import { ed25519NoteSigner, verifierKey } from '@countersign/ledger';
import { type Clock, compactId } from '@countersign/model';
import type { HostPort, ShardConfig } from '@countersign/policy';
import { type Attestation, connectWorkload } from '@countersign/sdk';
import { openFactLog, StateError } from '@countersign/state';
import { openHsm } from '../authority/keys/open-hsm.ts';
import { loginSettings } from '../authority/login-settings.ts';
import { createRecorder, type Recorder } from '../authority/record/own-record.ts';
import { serveIssuer } from '../authority/serve-issuer.ts';
import { nameOf, openStorage } from '../authority/state/kept-place.ts';
import { tellStanding } from '../authority/state/open-state.ts';
import { STATE_AWAY } from '../authority/state/storage-status.ts';
import { createClosers } from '../closers.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { deviceSettings } from '../devices/device-settings.ts';
import { listenerCertificates } from '../listener-certificate/listener-certificates.ts';
import { peopleOptions } from '../people/people-options.ts';
import { followRecordKeys } from '../point/follow-record-keys.ts';
import { withJoinTokenAdvice } from '../point/join-advice.ts';
import { personalTypes } from '../point/personal-types.ts';
import { openLogKey, publicBytes } from '../point/point-keys.ts';
import { postEntries } from '../point/post-entries.ts';
import { removeLocalShards } from '../point/remove-local-shards.ts';
import { DEFAULT_RECORD } from '../point/run-point.ts';
import { throttleRepeats } from '../point/throttle-repeats.ts';
import { watchClock, watchPusher } from '../point/watch-point.ts';
import { openOutbound } from '../signals/outbound.ts';
import { keepTrustFile, readTrustFile } from '../trust-file.ts';
import { serveMetrics } from '../watch/serve-metrics.ts';
import { watchDatabaseClock } from '../watch/watch-database-clock.ts';
import { watchQueue } from '../watch/watch-queue.ts';
import { followBeats } from './follow-beats.ts';
import { openIssuerGrant } from './issuer-grant.ts';
import { type IssuerSettings, readIssuerSettings } from './issuer-settings.ts';

const SWEEP_EVERY_MS = 60_000;
/** What goes on for long is told again from time to time. */
const WATCHED_EVERY_MS = 10 * 60_000;

/** What an issuer is started with. */
export interface RunIssuerOptions {
  /** One of `authority.issuers`. */
  readonly name: string;
  readonly dataRoot: string;
  /** Default: `trust.json` in the data folder. */
  readonly trustFile?: string;
  readonly joinToken?: string;
  /** What lets it join without a join token. */
  readonly attestation?: Attestation;
  /** Where metrics are served; loopback. */
  readonly metrics?: HostPort;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** An issuer that serves. */
export interface RunningIssuer {
  /** As its tokens name it: the authority's. */
  readonly issuerUrl: string;
  readonly address: HostPort;
  /** Resolves when it may not go on: it is revoked, not in the configuration any more, or another process has its name. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

/**
 * Starts an issuer beside the authority, on the authority's PostgreSQL: with an identity and a log of its own, as a point has, and with
 * nothing of the bank's repository. What it may hold it is given by the authority; what it is to do stands in the database.
 *
 * @throws {CommandError} when it does not get in, or the database or the authority is of another version
 */
export async function runIssuer(options: RunIssuerOptions): Promise<RunningIssuer> {
  const { name, now, warn } = options;
  const data = dataFolder(options.dataRoot);
  const folder = data.point(name);
  const trust = await readTrustFile(options.trustFile ?? data.trustFile);
  const { trustDomain, controlUrl } = trust;
  const spiffeId = `spiffe://${trustDomain}/workload/countersign/${name}`;
  const authorityId = `spiffe://${trustDomain}/workload/countersign/authority`;
  const origin = `${trustDomain}/${name}`;
  const closers = createClosers();
  const { promise: lost, resolve: lose } = Promise.withResolvers<Error>();
  try {
    const logKey = await openLogKey(folder.keys);
    const metrics = createMetrics();
    // While it is being opened, the log takes no alarm.
    let alarm = (kind: string, detail: string): void => warn(`alarm ${kind}: ${detail}`);
    let shards: ShardConfig = DEFAULT_RECORD;
    const meter = diskMeter({ metrics, clock: () => performance.now() });
    const log = await openRollingLog({
      origin,
      signer: (shard) => ed25519NoteSigner({ name: shard, privateKey: logKey }),
      storage: shardFolders(folder.log, meter),
      length: () => shards.shard,
      ...{ now, newId: compactId },
      onTrouble: (detail) => alarm('log-shard', detail),
    });
    closers.add(() => log.close());
    measureLog(log, metrics);
    const watched = throttleRepeats<'clock-offset' | 'log-queue-long' | 'log-uncollected'>({
      everyMs: WATCHED_EVERY_MS,
      now,
      tell: (kind, detail) => alarm(kind, detail),
    });
    const queue = watchQueue(log, watched);
    closers.add(() => queue.close());

    const verifierKeyOf = (shard: string): string => verifierKey(shard, publicBytes(logKey));
    const workload = await connectWorkload({
      authorityUrl: controlUrl,
      authoritySpiffeId: authorityId,
      x509Authorities: trust.x509Authorities,
      factKeys: trust.factKeys,
      trustDomain,
      folder: folder.svid,
      ...(options.joinToken !== undefined && { joinToken: options.joinToken }),
      ...(options.attestation && { attestation: options.attestation }),
      extra: { logVerifierKey: verifierKeyOf(origin) },
      onFailure: (error) => warn(error.message),
      now,
    }).catch((error: unknown) => {
      throw options.attestation ? error : withJoinTokenAdvice(error, name);
    });
    closers.add(() => workload.close());
    if (workload.spiffeId !== spiffeId) {
      throw new CommandError(
        `cannot start ${name}: it joined as ${workload.spiffeId}, expected ${spiffeId}`,
      );
    }
    await keepTrustFile(trust, { from: options.trustFile, to: data.trustFile });
    const dispatcher = workload.dispatcherFor(controlUrl, authorityId);
    const { storage, tokenSecret } = await openIssuerGrant({
      ...{ name, origin: controlUrl, dispatcher, warn },
      file: join(folder.keys, 'issuer.json'),
    });

    const database = await openStorage(storage, { isMadeElsewhere: true });
    closers.add(() => database.close());
    const clock = await watchDatabaseClock({ ...{ database, now, metrics }, alarm: watched });
    closers.add(() => clock.close());
    const fault = clock.fault();
    if (fault !== undefined) throw new CommandError(`cannot start ${name}: ${fault}`);
    const release = await claim(() => database.claim(`issuer ${name}`, { onLost: lose }), {
      ...{ name, place: nameOf(storage) },
    });
    closers.add(release);
    let takeSettings = (): void => undefined;
    const kept = await openIssuerSettings(database, { onChange: () => takeSettings() });
    const started = settingsOf(name, kept.current());
    let applied = started;
    const { config } = started;
    shards = config.record;
    const own = ownConfig(name, started);

    const recordKeys = await followRecordKeys({
      file: join(folder.keys, 'record.json'),
      origin: controlUrl,
      ...{ dispatcher, warn },
    });
    closers.add(() => recordKeys.close());
    const record = createRecorder({
      log,
      now,
      seal: createSealer({
        holder: name,
        keys: recordKeys.current,
        isPersonal: personalTypes(() => applied),
      }),
      publish: () => undefined,
    });
    const note = (what: string, recorded: ReturnType<Recorder>): void =>
      void recorded.catch((error: Error) => warn(`${what} was not recorded: ${error.message}`));
    alarm = (kind, detail) => {
      warn(`alarm ${kind}: ${detail}`);
      note('the alarm', record({ kind: 'alarm', alarm: kind, detail: detail.slice(0, 1000) }));
    };

    const standing = tellStanding({
      warn,
      alarm: (detail) => record({ kind: 'alarm', alarm: 'state-away', detail }),
    });
    let isAway = false;
    const factLog = await openFactLog(database, {
      ...{ trustDomain, now },
      onStanding(told) {
        isAway = !told.isCurrent;
        standing(told);
        // Who is revoked is known from that history, and it is another one now.
        if (!told.isCurrent && isOfAnotherHistory(told.error)) lose(told.error);
      },
    });
    const hsm = config.authority.ca.pkcs11 && (await openHsm(config.authority.ca.pkcs11, options));
    if (hsm) closers.add(() => hsm.close());
    const login = loginSettings(config, () => applied.config);
    const outbound = await openOutbound({ name: 'approvals' });
    closers.add(() => outbound.close());
    const { issuerUrl, accessTokenTtlSeconds, svidTtlSeconds, detailTypes = [] } = config.authority;
    const identity = await openTokenIssuer({
      ...{ database, factLog, tokenSecret, now },
      record: record as IdentityRecorder,
      ...(hsm && { openToken: hsm.open }),
      ...(login && { notify: outbound.post }),
      options: {
        ...{ issuerUrl, accessTokenTtlSeconds, svidTtlSeconds, detailTypes },
        ...(login && { login }),
        ...peopleOptions(config),
        devices: () => deviceSettings(applied.config),
      },
    });
    closers.add(async () => identity.close());
    identity.noteWebClients(started.web);
    takeSettings = () => {
      try {
        applied = settingsOf(name, kept.current());
        ownConfig(name, applied);
      } catch (error) {
        lose(error as Error);
        return;
      }
      shards = applied.config.record;
      identity.noteWebClients(applied.web);
      // It may name a class of retention, or a type of persons, that there were no keys for.
      recordKeys.askNow();
    };
    takeSettings();
    const look = (): void => {
      const isRegistered = factLog.get(`subject ${spiffeId}`) !== undefined;
      if (isRegistered && !identity.isRevoked('subject', spiffeId)) return;
      const found = isRegistered ? 'revoked' : 'registered no more';
      lose(new CommandError(`cannot issue: found ${spiffeId} ${found}, expected an issuer`));
    };
    look();
    closers.add(factLog.subscribe(look));

    const authorityClock = watchClock({ log, metrics, now, alarm: watched, warn });
    let isClosing = false;
    const beats = followBeats({
      ...{ anchors: trust, origin: controlUrl, dispatcher },
      sequence: () => factLog.sequence,
      onBeat: (atMs) => authorityClock.compare(atMs, now()),
      onState(state, detail) {
        if (state === 'disconnected' && !isClosing) warn(`feed: ${detail}`);
      },
    });
    closers.add(() => {
      isClosing = true;
      return beats.close();
    });
    const removal = removeLocalShards({
      ...{ log, origin, folder: folder.log, verifierKeyOf, now, warn },
      keep: () => shards.localKeep,
      record: (action, detail) =>
        note('a removal', record({ kind: 'administration', action, by: 'system', detail })),
    });
    closers.add(() => removal.close());
    const pusher = createShardPusher({
      onWhole: removal.whole,
      ...{ log, name, now },
      post: postEntries(controlUrl, dispatcher),
      onTrouble: (trouble) => {
        if (trouble?.attempts === 1) warn(`log not collected: ${trouble.code}: ${trouble.detail}`);
      },
    });
    // After the listener: what is recorded while that closes is still offered to the collector.
    closers.add(() => pusher.close());
    const collection = watchPusher(pusher, { metrics, now, alarm: watched });
    closers.add(() => collection.close());
    if (options.metrics) {
      const served = await serveMetrics(metrics, options.metrics);
      closers.add(() => served.close());
    }

    const certificates = listenerCertificates({
      ...{ metrics, now, alarm },
      record: (action, shown) =>
        note('a certificate', record({ kind: 'administration', action, by: 'system', ...shown })),
    });
    closers.add(() => certificates.close());
    const listener = await serveIssuer(identity.issuer, {
      ...{ address: own.address, fault: clock.fault, name: 'authority.issuers', now },
      away: () => (isAway ? STATE_AWAY : undefined),
      own: { current: () => workload, onRenewed: (renew) => void workload.onRotate(renew) },
      certificate: own.certificate && (await certificates.open(name, own.certificate)),
    });
    closers.add(() => listener.close());
    const sweeper = setInterval(() => {
      identity.sweep().catch((error: Error) => warn(`sweep failed: ${error.message}`));
    }, SWEEP_EVERY_MS);
    sweeper.unref();
    closers.add(() => clearInterval(sweeper));
    const about = { kind: 'administration', by: 'system', target: name } as const;
    await record({ ...about, action: 'issuer-started' });
    closers.add(() => record({ ...about, action: 'issuer-stopped' }));
    return { issuerUrl, address: own.address, lost, close: closers.closeAll };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

function settingsOf(name: string, text: string | undefined): IssuerSettings {
  try {
    return readIssuerSettings(text);
  } catch (error) {
    throw new CommandError(`cannot run ${name}: ${(error as Error).message}`, { cause: error });
  }
}

function ownConfig(name: string, { config }: IssuerSettings) {
  const own = config.authority.issuers?.find((each) => each.name === name);
  if (own) return own;
  throw new CommandError(
    `cannot run ${name}: found no issuer of that name in authority.issuers, expected it there`,
  );
}

async function claim<Claimed>(
  claiming: () => Promise<Claimed>,
  { name, place }: { readonly name: string; readonly place: string },
): Promise<Claimed> {
  try {
    return await claiming();
  } catch (error) {
    if (!(error instanceof StateError) || error.code !== 'ERR_STATE_BUSY') throw error;
    throw new CommandError(
      `cannot start ${name}: found that another process runs as ${name} on ${place}, expected none; give each issuer a name and a data folder of its own`,
      { cause: error },
    );
  }
}

function isOfAnotherHistory(error: Error): boolean {
  return error instanceof StateError && error.code === 'ERR_STATE_HISTORY';
}
