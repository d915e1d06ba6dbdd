import {
  type CheckpointSource,
  type Collector,
  type CollectorRefusal,
  type LogSource,
  logOfShard,
  parseShardName,
  type RecordIndex,
  type RollingLog,
  shardName,
  startRecordIndex,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { renameVerifierKey } from '@countersign/ledger';
import { type DataFolder, indexFolderOf } from '../../data-folder.ts';
import { checkpointSource } from '../../find/checkpoint-source.ts';
import type { RemovedLog, RemovedPlace } from '../../find/removed-logs.ts';
import { collectedLogs } from './collected-logs.ts';
import { type IndexLag, IndexLags } from './index-lags.ts';

const LOOK_EVERY_MS = 1000;

/** The index of all that this authority holds: its own log and what it collected. */
export interface RecordQuestions {
  readonly index: RecordIndex;
  /** Tells the index how far the logs go now. */
  catchUp(): Promise<void>;
  /** The log of checkpoints that all of them are held against. */
  checkpoints(): Promise<CheckpointSource | undefined>;
  /** Logs whose entries retention removed. */
  removed(): Promise<readonly RemovedLog[]>;
  /** Where what is left of such a log is; nothing for one whose point is not registered any more. */
  placeOf(log: RemovedLog): RemovedPlace | undefined;
  /** How far the index of each log is, as last heard: asks nobody. */
  status(): readonly IndexLag[];
  /** Why a log is not being collected, if it is not. */
  refusal(name: string): CollectorRefusal | undefined;
  /** Lets go of a log whose entries are to be removed; resolves when its index is closed. */
  forget(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts the index, and keeps it behind the logs by a second at most. */
export function openRecordQuestions(options: {
  readonly folder: DataFolder;
  readonly log: RollingLog;
  readonly logVerifierKey: string;
  readonly identity: Identity;
  readonly collector: Collector;
  readonly removed: () => Promise<readonly RemovedLog[]>;
  readonly now: () => number;
  readonly warn: (text: string) => void;
}): RecordQuestions {
  const { folder, log, logVerifierKey, identity, collector, now, warn } = options;
  const index = startRecordIndex();
  const lags = new IndexLags(now);
  const follow = (source: LogSource, size: number): void => {
    index.follow(source, size);
    lags.grown(source.name, size);
  };
  const catchUp = async (): Promise<void> => {
    for (const { origin, log: shard } of log.shards()) {
      const name = shardName('authority', parseShardName(origin)?.period);
      const source = { name, origin, folder: folder.ownLog(name) };
      const indexFolder = indexFolderOf(folder, name);
      const verifierKey = renameVerifierKey(logVerifierKey, origin);
      follow({ ...source, indexFolder, verifierKey }, shard.size);
    }
    for (const { name, origin, verifierKey } of collectedLogs(collector, identity)) {
      const size = await collector.size(name);
      // A mirror that failed has its alarm; what was indexed of it can still be asked.
      if (size === undefined) continue;
      const source = { name, origin, folder: folder.mirror(name) };
      follow({ ...source, indexFolder: indexFolderOf(folder, name), verifierKey }, size);
    }
  };
  const told = new Map<string, string>();
  const hear = async (): Promise<void> => {
    for (const status of await index.status()) {
      lags.heard(status);
      const { name, trouble = '' } = status;
      if (trouble !== '' && told.get(name) !== trouble) warn(`index of ${name}: ${trouble}`);
      told.set(name, trouble);
    }
  };
  const tell = (error: Error): void => warn(`index: ${error.message}`);
  // Apart: an index that answers nothing for a while must still be seen to fall behind.
  const followOnce = oneAtATime(catchUp, tell);
  const hearOnce = oneAtATime(hear, tell);
  const timer = setInterval(() => {
    followOnce();
    hearOnce();
  }, LOOK_EVERY_MS);
  timer.unref();
  return {
    index,
    catchUp,
    status: () => lags.status(),
    refusal: (name) => collector.refusal(name),
    removed: options.removed,
    async forget(name) {
      await index.forget(name);
      lags.forget(name);
    },
    placeOf({ name, origin }) {
      if (logOfShard(name) === 'authority') {
        const verifierKey = renameVerifierKey(logVerifierKey, origin);
        return { folder: folder.ownLog(name), verifierKey };
      }
      const verifierKey = collector.point(name)?.verifierKey;
      return verifierKey === undefined ? undefined : { folder: folder.mirror(name), verifierKey };
    },
    checkpoints: () => checkpointSource(folder),
    async close() {
      clearInterval(timer);
      await index.close();
    },
  };
}

/** Does something now, unless it is still being done. */
function oneAtATime(work: () => Promise<void>, onError: (error: Error) => void): () => void {
  let isBusy = false;
  return () => {
    if (isBusy) return;
    isBusy = true;
    work()
      .catch(onError)
      .finally(() => {
        isBusy = false;
      });
  };
}
