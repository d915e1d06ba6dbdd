import {
  type CheckpointSource,
  type Collector,
  type CollectorRefusal,
  type LogSource,
  type RecordIndex,
  startRecordIndex,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import type { Log } from '@countersign/ledger';
import { type DataFolder, indexFolderOf } from '../data-folder.ts';
import { checkpointSource } from '../find/checkpoint-source.ts';
import { type IndexLag, IndexLags } from './index-lags.ts';

const LOOK_EVERY_MS = 1000;

/** The index of all that this authority holds: its own log and what it collected. */
export interface RecordQuestions {
  readonly index: RecordIndex;
  /** Tells the index how far the logs go now. */
  catchUp(): Promise<void>;
  /** The log of checkpoints that all of them are held against. */
  checkpoints(): Promise<CheckpointSource | undefined>;
  /** How far the index of each log is, as last heard: asks nobody. */
  status(): readonly IndexLag[];
  /** Why a log is not being collected, if it is not. */
  refusal(name: string): CollectorRefusal | undefined;
  close(): Promise<void>;
}

/** Starts the index, and keeps it behind the logs by a second at most. */
export function openRecordQuestions(options: {
  readonly folder: DataFolder;
  readonly trustDomain: string;
  readonly log: Log;
  readonly logVerifierKey: string;
  readonly identity: Identity;
  readonly collector: Collector;
  readonly now: () => number;
  readonly warn: (text: string) => void;
}): RecordQuestions {
  const { folder, trustDomain, log, logVerifierKey, identity, collector, now, warn } = options;
  const index = startRecordIndex();
  const lags = new IndexLags(now);
  const follow = (source: LogSource, size: number): void => {
    index.follow(source, size);
    lags.grown(source.name, size);
  };
  const catchUp = async (): Promise<void> => {
    follow(
      {
        name: 'authority',
        origin: log.origin,
        folder: folder.authorityLog,
        indexFolder: indexFolderOf(folder, 'authority'),
        verifierKey: logVerifierKey,
      },
      log.size,
    );
    for (const { name, logVerifierKey: verifierKey } of identity.points()) {
      if (verifierKey === undefined) continue;
      const size = await collector.size(name);
      // A mirror that failed has its alarm; what was indexed of it can still be asked.
      if (size === undefined) continue;
      follow(
        {
          name,
          origin: `${trustDomain}/${name}`,
          folder: folder.mirror(name),
          indexFolder: indexFolderOf(folder, name),
          verifierKey,
        },
        size,
      );
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
