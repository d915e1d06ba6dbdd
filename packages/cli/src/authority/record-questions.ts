import {
  type CheckpointSource,
  type Collector,
  type CollectorRefusal,
  type RecordIndex,
  startRecordIndex,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import type { Log } from '@countersign/ledger';
import { type DataFolder, indexFolderOf } from '../data-folder.ts';
import { checkpointSource } from '../find/checkpoint-source.ts';

const LOOK_EVERY_MS = 1000;

/** The index of all that this authority holds: its own log and what it collected. */
export interface RecordQuestions {
  readonly index: RecordIndex;
  /** Tells the index how far the logs go now. */
  catchUp(): Promise<void>;
  /** The log of checkpoints that all of them are held against. */
  checkpoints(): Promise<CheckpointSource | undefined>;
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
  readonly warn: (text: string) => void;
}): RecordQuestions {
  const { folder, trustDomain, log, logVerifierKey, identity, collector, warn } = options;
  const index = startRecordIndex();
  const catchUp = async (): Promise<void> => {
    index.follow(
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
      index.follow(
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
  const look = async (): Promise<void> => {
    await catchUp();
    for (const { name, trouble = '' } of await index.status()) {
      if (trouble !== '' && told.get(name) !== trouble) warn(`index of ${name}: ${trouble}`);
      told.set(name, trouble);
    }
  };
  let isLooking = false;
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    look()
      .catch((error: Error) => warn(`index: ${error.message}`))
      .finally(() => {
        isLooking = false;
      });
  }, LOOK_EVERY_MS);
  timer.unref();
  return {
    index,
    catchUp,
    refusal: (name) => collector.refusal(name),
    checkpoints: () => checkpointSource(folder),
    async close() {
      clearInterval(timer);
      await index.close();
    },
  };
}
