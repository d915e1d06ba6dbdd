import { sign } from 'node:crypto';
import { join } from 'node:path';
import {
  createMetrics,
  createSealer,
  createShardPusher,
  diskMeter,
  measureLog,
  openRollingLog,
  type Sealer,
  shardFolders,
} from '@countersign/audit';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica, type RefusalCode, type Replica } from '@countersign/decision';
import { createEnforcementPoint, type ListenerAddress } from '@countersign/enforcement';
import { ed25519NoteSigner, type Log, verifierKey } from '@countersign/ledger';
import {
  type Clock,
  compactId,
  EVENT_VERSION,
  EVIDENCE_CLASS,
  type Event,
  encodeEvent,
} from '@countersign/model';
import type { HostPort, PointConfig, ShardConfig } from '@countersign/policy';
import { type Attestation, connectWorkload } from '@countersign/sdk';
import { createClosers } from '../closers.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { listenerCertificates } from '../listener-certificate/listener-certificates.ts';
import { keepTrustFile, readTrustFile } from '../trust-file.ts';
import { serveMetrics } from '../watch/serve-metrics.ts';
import { watchQueue } from '../watch/watch-queue.ts';
import { followAuthority } from './follow-authority.ts';
import { followRecordKeys } from './follow-record-keys.ts';
import { withJoinTokenAdvice } from './join-advice.ts';
import { personalTypes } from './personal-types.ts';
import { pointCertificates } from './point-certificates.ts';
import { openPointKeys, publicBytes, publicJwk } from './point-keys.ts';
import { postEntries } from './post-entries.ts';
import { removeLocalShards } from './remove-local-shards.ts';
import { throttleRepeats } from './throttle-repeats.ts';
import { watchClock, watchPusher } from './watch-point.ts';

/** Until it is said otherwise. */
export const DEFAULT_RECORD: ShardConfig = {
  shard: 'quarter',
  localKeep: { count: 3, unit: 'month' },
};
const FIRST_BUNDLE_MS_MAX = 20_000;
/** For an authority that neither answers nor refuses: then the bundle that is kept says where to listen. */
const NEWER_BUNDLE_MS_MAX = 5_000;
const CLOSE_GRACE_MS = 3_000;
/** The feed beats every second, and each beat of a wrong feed is refused. */
const REFUSALS_EVERY_MS = 60_000;
/** What goes on for long is told again from time to time. */
const WATCHED_EVERY_MS = 10 * 60_000;

/** What a point is started with. */
export interface RunPointOptions {
  readonly name: string;
  readonly kind: 'gateway' | 'sidecar' | 'wrap';
  readonly dataRoot: string;
  /** Default: `trust.json` in the data folder. */
  readonly trustFile?: string;
  readonly joinToken?: string;
  /** What lets it join without a join token. */
  readonly attestation?: Attestation;
  /** Where metrics are served; loopback. */
  readonly metrics?: HostPort;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** An enforcement point that serves. */
export interface RunningPoint {
  readonly listeners: readonly ListenerAddress[];
  close(): Promise<void>;
}

/**
 * Starts an enforcement point: its identity, its log, its replica of the authority's knowledge, and
 * its listeners. What it listens on comes with the signed bundle. With the authority away it starts
 * from what it kept.
 *
 * @throws {CommandError} when there is no bundle after 20 s, or the bundle names no such point
 */
export async function runPoint(options: RunPointOptions): Promise<RunningPoint> {
  const { name, now, warn } = options;
  const data = dataFolder(options.dataRoot);
  const folder = data.point(name);
  const trust = await readTrustFile(options.trustFile ?? data.trustFile);
  const { trustDomain } = trust;
  const spiffeId = `spiffe://${trustDomain}/workload/countersign/${name}`;
  const authorityId = `spiffe://${trustDomain}/workload/countersign/authority`;
  const origin = `${trustDomain}/${name}`;
  const closers = createClosers();
  try {
    const keys = await openPointKeys(folder.keys);
    const metrics = createMetrics();
    // While it is being opened, the log takes no alarm.
    let tellShard = (detail: string): void => warn(`alarm log-shard: ${detail}`);
    // Until a bundle says otherwise; the log comes first, so that what goes wrong before is recorded.
    let record: ShardConfig = DEFAULT_RECORD;
    const meter = diskMeter({ metrics, clock: () => performance.now() });
    const log = await openRollingLog({
      origin,
      signer: (shard) => ed25519NoteSigner({ name: shard, privateKey: keys.log }),
      storage: shardFolders(folder.log, meter),
      length: () => record.shard,
      ...{ now, newId: compactId },
      onTrouble: (detail) => tellShard(detail),
    });
    closers.add(() => log.close());
    measureLog(log, metrics);
    // Before there are keys nothing happens that names a person.
    let seal: Sealer = (event) => event;
    const alarm = (kind: string, detail: string): void => {
      warn(`alarm ${kind}: ${detail}`);
      appendAlarm(log, { alarm: kind, detail, at: now() }, { seal: (event) => seal(event), warn });
    };
    tellShard = (detail) => alarm('log-shard', detail);
    const watched = throttleRepeats<'clock-offset' | 'log-queue-long' | 'log-uncollected'>({
      everyMs: WATCHED_EVERY_MS,
      now,
      tell: (kind, detail) => alarm(kind, detail),
    });
    const queue = watchQueue(log, watched);
    closers.add(() => queue.close());
    const clock = watchClock({ log, metrics, now, alarm: watched, warn });
    const transactionJwk = publicJwk(keys.transaction);
    const workload = await connectWorkload({
      authorityUrl: trust.controlUrl,
      authoritySpiffeId: authorityId,
      x509Authorities: trust.x509Authorities,
      factKeys: trust.factKeys,
      trustDomain,
      folder: folder.svid,
      ...(options.joinToken !== undefined && { joinToken: options.joinToken }),
      ...(options.attestation && { attestation: options.attestation }),
      extra: {
        logVerifierKey: verifierKey(origin, publicBytes(keys.log)),
        transactionKey: transactionJwk,
      },
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

    const engine = createCedarEngine({ startThread: startNodeThread });
    closers.add(() => engine.close());
    const replica = await openReplica({
      anchors: trust,
      engine,
      folder: folder.replica,
      now,
      onRefusal: throttleRepeats<RefusalCode>({
        everyMs: REFUSALS_EVERY_MS,
        now,
        tell: (refusal, detail, count) =>
          alarm(
            refusal.startsWith('policy') ? 'bundle-refused' : 'feed-refused',
            `${refusal}: ${detail}${count > 1 ? ` (${count} times)` : ''}`,
          ),
      }),
    });
    closers.add(() => replica.close());
    const takeRecord = (): void => {
      record = replica.point.bundle?.record ?? DEFAULT_RECORD;
    };
    takeRecord();
    closers.add(replica.onChange(takeRecord));
    const dispatcher = workload.dispatcherFor(trust.controlUrl, authorityId);
    const recordKeys = await followRecordKeys({
      file: join(folder.keys, 'record.json'),
      origin: trust.controlUrl,
      ...{ dispatcher, warn },
    });
    closers.add(() => recordKeys.close());
    let version = replica.point.bundle?.version;
    closers.add(
      replica.onChange(() => {
        if (replica.point.bundle?.version === version) return;
        version = replica.point.bundle?.version;
        // It may name a class of retention that there were no keys for.
        recordKeys.askNow();
      }),
    );
    const heard = Promise.withResolvers<void>();
    let isClosing = false;
    const accept: Replica['accept'] = async (line) => {
      const atMs = now();
      const result = await replica.accept(line);
      if (line.startsWith('{"policy"')) heard.resolve();
      // What came with a snapshot or a change may be of earlier; a beat tells the time at which it was sent.
      else if (result.taken) clock.compare(replica.point.facts.asOfMs, atMs);
      return result;
    };
    const follower = followAuthority(
      { accept },
      {
        origin: trust.controlUrl,
        dispatcher,
        onState: (state, detail) => {
          if (state !== 'disconnected') return;
          heard.resolve();
          if (!isClosing) warn(`feed: ${detail}`);
        },
      },
    );
    closers.add(() => {
      isClosing = true;
      return follower.close();
    });
    const removal = removeLocalShards({
      ...{ log, origin, folder: folder.log, now, warn },
      verifierKeyOf: (shard) => verifierKey(shard, publicBytes(keys.log)),
      keep: () => record.localKeep,
      record: (action, detail) =>
        appendAdministration(log, { action, detail, at: now() }, { what: 'a removal', warn }),
    });
    closers.add(() => removal.close());
    const pusher = createShardPusher({
      onWhole: removal.whole,
      ...{ log, name, now },
      post: postEntries(trust.controlUrl, dispatcher),
      onTrouble: (trouble) => {
        if (trouble?.attempts === 1) warn(`log not collected: ${trouble.code}: ${trouble.detail}`);
      },
    });
    // After the point: what it records while it closes is still offered to the collector.
    closers.add(() => pusher.close());
    const collection = watchPusher(pusher, { metrics, now, alarm: watched });
    closers.add(() => collection.close());
    if (options.metrics) {
      const served = await serveMetrics(metrics, options.metrics);
      closers.add(() => served.close());
    }

    const config = await configOf(name, { kind: options.kind, replica, heard: heard.promise });
    const certificates = listenerCertificates({
      ...{ metrics, now, alarm },
      record: (action, shown) =>
        appendAdministration(log, { action, ...shown, at: now() }, { what: 'a certificate', warn }),
    });
    closers.add(() => certificates.close());
    seal = createSealer({
      holder: name,
      keys: recordKeys.current,
      isPersonal: personalTypes(() => replica.point.bundle),
    });
    const point = createEnforcementPoint({
      name,
      spiffeId,
      trustDomain,
      config,
      replica,
      log,
      seal,
      workload,
      certificates: await pointCertificates(config, certificates),
      transactionSigner: {
        kid: transactionJwk.kid,
        jwk: transactionJwk,
        sign: (message) => sign(null, message, keys.transaction),
      },
      dataFolder: data.root,
      now,
      onAlarm: ({ alarm: kind, detail, count }) =>
        alarm(kind, count > 1 ? `${detail} (${count} times)` : detail),
    });
    const listeners = await point.listen();
    closers.add(() => point.close({ graceMs: CLOSE_GRACE_MS }));
    return { listeners, close: closers.closeAll };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

/**
 * The point's part of the bundle in force. One that is kept may be of before the restart, so the feed is
 * listened to first, until it named the bundle in force or `heard` says that the authority is away; and the
 * first bundle of all may still be on its way.
 */
async function configOf(
  name: string,
  options: {
    readonly kind: PointConfig['kind'];
    readonly replica: Replica;
    readonly heard: Promise<void>;
  },
): Promise<PointConfig> {
  const { kind, replica, heard } = options;
  if (replica.point.bundle) await atMost(NEWER_BUNDLE_MS_MAX, heard);
  else {
    const { promise, resolve } = Promise.withResolvers<void>();
    const unsubscribe = replica.onChange(() => replica.point.bundle && resolve());
    await atMost(FIRST_BUNDLE_MS_MAX, promise);
    unsubscribe();
  }
  const { bundle } = replica.point;
  if (!bundle) {
    throw new CommandError(
      `cannot start ${name}: no policy bundle came in ${FIRST_BUNDLE_MS_MAX / 1000} s; is the authority running?`,
    );
  }
  const config = bundle.points.find((point) => point.name === name);
  if (config?.kind !== kind) {
    const names = bundle.points.map((point) => `${point.kind} ${point.name}`).join(', ');
    throw new CommandError(`cannot start ${kind} ${name}: the bundle has ${names}`);
  }
  return config;
}

/** Resolves with the promise, or when the time is over. */
async function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, over]).finally(() => clearTimeout(timer));
}

/** An alarm goes to the log when the log still takes it; the warning was given in any case. */
function appendAlarm(
  log: Log,
  { alarm, detail, at }: { alarm: string; detail: string; at: number },
  { seal, warn }: { readonly seal: Sealer; readonly warn: (text: string) => void },
): void {
  const event: Event = {
    v: EVENT_VERSION,
    id: compactId(),
    at,
    origin: log.origin,
    seq: log.nextIndex,
    retention: EVIDENCE_CLASS,
    kind: 'alarm',
    alarm,
    detail: detail.slice(0, 1000),
  };
  try {
    log.append(encodeEvent(seal(event)));
  } catch (error) {
    warn(`the alarm was not recorded: ${(error as Error).message}`);
  }
}

/** What the point did by itself is an event. */
function appendAdministration(
  log: Log,
  done: {
    readonly action: string;
    readonly target?: string;
    readonly detail: Record<string, string | number>;
    readonly at: number;
  },
  { what, warn }: { readonly what: string; readonly warn: (text: string) => void },
): void {
  const { at, ...body } = done;
  const place = { v: EVENT_VERSION, id: compactId(), at, origin: log.origin } as const;
  const event: Event = {
    ...{ ...place, seq: log.nextIndex, retention: EVIDENCE_CLASS },
    ...{ kind: 'administration', by: 'system', ...body },
  };
  try {
    log.append(encodeEvent(event));
  } catch (error) {
    warn(`${what} was not recorded: ${(error as Error).message}`);
  }
}
