import type { Log } from '@countersign/ledger';

const ENTER_EVERY_MS = 1000;

/** What a log of checkpoints is made of. */
export interface CheckpointLogOptions {
  /** An open log, which this one closes. */
  readonly log: Log;
  /** The last checkpoint of each log that is watched, as its own key signed it. */
  readonly checkpoints: () => Promise<readonly string[]>;
  /** Gets the checkpoint of this log after each commit; for witnesses. */
  readonly onCheckpoint: (note: string) => void;
  /** Told once, when the log's disk or signer failed; nothing is entered any more. */
  readonly onFailure: (error: unknown) => void;
  /** Default 1 s. */
  readonly everyMs?: number;
}

/** One log of other logs' checkpoints: who has it cosigned has them all cosigned. */
export interface CheckpointLog {
  readonly origin: string;
  readonly size: number;
  checkpoint(): string;
  /** Enters now what has changed; one run at a time, and it never rejects. */
  enter(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a log of checkpoints: every second, each checkpoint that has changed becomes an entry, byte for byte as
 * its log signed it; all that changed share one commit. After a restart each is entered once more.
 */
export function createCheckpointLog(options: CheckpointLogOptions): CheckpointLog {
  const { log, checkpoints, onCheckpoint, onFailure, everyMs = ENTER_EVERY_MS } = options;
  /** What was entered last, by origin: the first line of a note. */
  const entered = new Map<string, string>();
  let running: Promise<void> | undefined;
  let isFailed = false;

  const enterChanged = async (): Promise<void> => {
    const changed = (await checkpoints()).filter((note) => entered.get(originOf(note)) !== note);
    if (changed.length === 0) return;
    const indices = changed.map((note) => log.append(Buffer.from(note)));
    await log.durable(indices.at(-1) ?? 0);
    for (const note of changed) entered.set(originOf(note), note);
    onCheckpoint(log.checkpoint());
  };
  const enter = (): Promise<void> => {
    if (isFailed) return Promise.resolve();
    running ??= enterChanged()
      .catch((error: unknown) => {
        isFailed = true;
        onFailure(error);
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  const timer = setInterval(() => void enter(), everyMs);
  timer.unref();
  return {
    origin: log.origin,
    get size() {
      return log.size;
    },
    checkpoint: () => log.checkpoint(),
    enter,
    async close() {
      clearInterval(timer);
      await running;
      isFailed = true;
      await log.close();
    },
  };
}

function originOf(note: string): string {
  return note.slice(0, note.indexOf('\n'));
}
