import { join } from 'node:path';
import {
  type Collector,
  type PublishStatus,
  parseShardName,
  type RollingLog,
  shardName,
  startLogPublisher,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { renameVerifierKey } from '@countersign/ledger';
import type { Clock } from '@countersign/model';
import type { DataFolder } from '../../data-folder.ts';
import { throttleRepeats } from '../../point/throttle-repeats.ts';
import { collectedLogs } from './collected-logs.ts';
import type { Recorder } from './own-record.ts';

const LOOK_EVERY_MS = 1000;
/** Twelve publications that did not come. */
const LAG_MS_MAX = 60_000;
const LATE_EVERY_MS = 10 * 60_000;

/** The logs that an authority keeps published. */
export interface PublishedLogs {
  status(): readonly PublishStatus[];
  /** Publishes a log up to what it holds now; resolves when that was done, well or not. */
  publishNow(name: string): Promise<void>;
  /** Whether entries of a log are still to be published; never while publishing is off. */
  isBehind(name: string, size: number): boolean;
  /** Lets go of a log whose entries are to be removed, after what is being published of it now. */
  forget(name: string): Promise<void>;
  close(): Promise<void>;
}

/** A log with the key that verifies it. */
export interface KeyedLog {
  readonly size: number;
  readonly verifierKey: string;
}

/** What publishing needs of the authority. */
export interface PublishLogsOptions {
  readonly folder: DataFolder;
  /** By the configuration as last applied. */
  readonly isOn: () => boolean;
  readonly own: Pick<RollingLog, 'shards'>;
  /** Of the first shard of the authority's own log. */
  readonly ownVerifierKey: string;
  /** The log of checkpoints. */
  readonly checkpoints: () => KeyedLog;
  readonly identity: Pick<Identity, 'points'>;
  readonly collector: Pick<Collector, 'size' | 'names' | 'point'>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/**
 * Keeps the authority's own log, its copies of the points' and its log of checkpoints published under
 * `DATA/authority/published`, a few seconds behind. Nobody waits for it; what is wrong with it is an alarm.
 */
export function publishLogs(options: PublishLogsOptions): PublishedLogs {
  const { folder, own, identity, collector, record, now, warn } = options;
  const alarm = (kind: 'publish-failed' | 'publish-late', detail: string): void => {
    warn(`alarm ${kind}: ${detail}`);
    record({ kind: 'alarm', alarm: kind, detail: detail.slice(0, 1000) }).catch((error: Error) =>
      warn(`the alarm was not recorded: ${error.message}`),
    );
  };
  const publisher = startLogPublisher({
    now,
    onTrouble: (name, { code, detail }) => alarm('publish-failed', `${name}: ${code}: ${detail}`),
  });
  const tellLate = throttleRepeats<string>({
    everyMs: LATE_EVERY_MS,
    now,
    tell: (_name, detail) => alarm('publish-late', detail),
  });
  const follow = (name: string, logFolder: string, { size, verifierKey }: KeyedLog): void => {
    const target = join(folder.published, name);
    publisher.follow({ name, folder: logFolder, target, verifierKey }, size);
  };
  const look = async (): Promise<void> => {
    if (!options.isOn()) return;
    const { ownVerifierKey: verifierKey } = options;
    for (const { origin, log } of own.shards()) {
      const name = shardName('authority', parseShardName(origin)?.period);
      const key = renameVerifierKey(verifierKey, origin);
      follow(name, folder.ownLog(name), { size: log.size, verifierKey: key });
    }
    follow('checkpoints', folder.checkpointLog, options.checkpoints());
    for (const { name, verifierKey: key } of collectedLogs(collector, identity)) {
      const size = await collector.size(name);
      if (size === undefined) continue;
      follow(name, folder.mirror(name), { size, verifierKey: key });
    }
    for (const { name, lagMs, trouble } of publisher.status()) {
      if (lagMs <= LAG_MS_MAX) continue;
      const { code, detail } = trouble ?? { code: 'slow', detail: 'the disk takes files' };
      const waited = `found an entry waiting for ${Math.round(lagMs / 1000)} s, expected at most ${LAG_MS_MAX / 1000}`;
      tellLate(name, `${name}: ${waited}: ${code}: ${detail}`);
    }
  };
  let looking: Promise<void> | undefined;
  const lookOnce = (): Promise<void> => {
    looking ??= look()
      .catch((error: Error) => warn(`publishing: ${error.message}`))
      .finally(() => {
        looking = undefined;
      });
    return looking;
  };
  void lookOnce();
  const timer = setInterval(lookOnce, LOOK_EVERY_MS);
  timer.unref();
  return {
    status: () => publisher.status(),
    async publishNow(name) {
      await looking;
      await lookOnce();
      await publisher.publishNow(name);
    },
    isBehind(name, size) {
      if (!options.isOn()) return false;
      const known = publisher.status().find((each) => each.name === name);
      return (known?.publishedSize ?? 0) < size;
    },
    async forget(name) {
      // A look that is under way may have seen it before it was given up.
      await looking;
      await publisher.forget(name);
    },
    async close() {
      clearInterval(timer);
      await looking;
      await publisher.close();
    },
  };
}
