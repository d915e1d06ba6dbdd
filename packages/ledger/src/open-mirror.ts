import { LedgerError } from './ledger-error.ts';
import type { LogDisk, LogEntries } from './log.ts';
import type { MerkleFrontier } from './merkle/frontier.ts';
import { type HashText, toHashBytes } from './merkle/hash.ts';
import { type Checkpoint, openCheckpoint } from './note/checkpoint.ts';
import { parseVerifierKey } from './note/verifier-key.ts';
import { EntryReader } from './segment/entry-reader.ts';
import { ENTRY_BYTES_MAX, FRAME_BYTES_MAX, FrameBuilder } from './segment/frame.ts';
import { recoverSegments } from './segment/recover-segments.ts';
import { rootOfPrefix } from './segment/root-of-prefix.ts';
import type { TreeState } from './segment/segment-header.ts';
import { requireBound, SEGMENT_BYTES_MAX, SegmentStore } from './segment/segment-store.ts';
import { keepVerifierKey } from './verifier-key-file.ts';

/** What a mirror needs. */
export interface MirrorOptions {
  /** The origin of the log that is mirrored. */
  readonly origin: string;
  /** That log's key, in C2SP's form; its name may differ from the origin. */
  readonly verifierKey: string;
  readonly disk: LogDisk;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** As for a log. Default 64 MiB. */
  readonly segmentBytesMax?: number;
}

/** Why a mirror did not take a run of entries. */
export type MirrorRefusal =
  /** The checkpoint is no signed note of this log's key, or of another origin. */
  | 'signature'
  /** The entries start beyond what the mirror holds. */
  | 'gap'
  /** The checkpoint is signed and contradicts what the mirror holds, or the entries beside it. */
  | 'fork'
  /** The log has fewer entries than the mirror: it lost what it had given away. */
  | 'rollback'
  /** The entries do not end where the checkpoint does, or are too many or of a wrong size. */
  | 'extent'
  /** Another run is being taken just now, or an older tree was compared less than a second ago. */
  | 'busy';

/**
 * Comparing an older checkpoint hashes up to a segment, a quarter of a second: no reason to show many, and whoever
 * does must not keep the mirror's process busy.
 */
const PREFIX_INTERVAL_MS = 1000;

/** A run was taken (or was held already), or it was not and nothing has changed. */
export type MirrorOutcome =
  | { readonly kind: 'taken'; readonly size: number }
  | {
      readonly kind: 'refused';
      readonly code: MirrorRefusal;
      readonly detail: string;
      /** What the mirror holds, so that whoever pushes goes on from there. */
      readonly size: number;
    };

/**
 * A copy of another's log: the same bytes, under the checkpoints that the log's own key signed. It holds
 * no entry that a signed checkpoint does not cover.
 */
export interface Mirror {
  readonly origin: string;
  /** Entries held, all durable. */
  readonly size: number;
  /** What opening found and dropped, as for a log. */
  readonly droppedBytes: number;
  /** The last checkpoint, as the log signed it; nothing before the first. */
  checkpoint(): string | undefined;
  /**
   * Takes entries that continue the log and end where `checkpoint` ends; those that the mirror holds
   * already may come again. On disk when it resolves to `taken`. A run without entries asks how the
   * log's checkpoint stands to the mirror: `taken` when they are the same, else why not, with the size held.
   *
   * @throws {LedgerError} `ERR_LEDGER_FAILED` after the disk failed once; `ERR_LEDGER_CLOSED`
   */
  take(run: LogEntries): Promise<MirrorOutcome>;
  /** As `Log.read`. */
  read(index: number, options: { count: number; bytesMax: number }): Promise<LogEntries>;
  /** Waits for what is being taken, closes, gives up the lock. */
  close(): Promise<void>;
}

/**
 * Opens the mirror in a folder, making it when there is none. The files are those of a log, so that
 * `verifyLog` reads them.
 *
 * @throws {LedgerError} as `openLog`, and `ERR_LEDGER_KEY_INVALID`
 */
export async function openMirror(options: MirrorOptions): Promise<Mirror> {
  const { origin, disk } = options;
  const segmentBytesMax = requireBound(
    'segmentBytesMax',
    options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
  );
  const verifier = parseVerifierKey(options.verifierKey);
  const unlock = await disk.lock();
  try {
    await keepVerifierKey(disk, options.verifierKey);
    const recovered = await recoverSegments(disk, { origin, verifier });
    const { frontier, checkpoint } = recovered;
    const state = { size: frontier.size, hashes: frontier.hashes(), checkpoint };
    const store = await SegmentStore.open({ disk, segmentBytesMax, state, ...recovered });
    const open = (note: string) => openCheckpoint(note, [verifier]);
    const { droppedBytes } = recovered;
    return new FolderMirror({ ...options, open, unlock, store, frontier, state, droppedBytes });
  } catch (error) {
    await unlock();
    throw error;
  }
}

class FolderMirror implements Mirror {
  readonly origin: string;
  readonly droppedBytes: number;
  readonly #disk: LogDisk;
  readonly #now: () => number;
  readonly #open: (note: string) => Checkpoint;
  readonly #unlock: () => Promise<void>;
  readonly #store: SegmentStore;
  readonly #reader: EntryReader;
  #tree: MerkleFrontier;
  #state: TreeState;
  /** The older tree that was compared last. */
  #prefix: { readonly size: number; readonly root: HashText; readonly atMs: number } | undefined;
  /** The one run that is being taken. */
  #taking: Promise<unknown> | undefined;
  #failure: LedgerError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    parts: MirrorOptions & {
      open: (note: string) => Checkpoint;
      unlock: () => Promise<void>;
      store: SegmentStore;
      frontier: MerkleFrontier;
      state: TreeState;
      droppedBytes: number;
    },
  ) {
    this.origin = parts.origin;
    this.droppedBytes = parts.droppedBytes;
    this.#disk = parts.disk;
    this.#now = parts.now;
    this.#open = parts.open;
    this.#unlock = parts.unlock;
    this.#store = parts.store;
    this.#reader = new EntryReader(parts.disk, parts.store);
    this.#tree = parts.frontier;
    this.#state = parts.state;
  }

  get size(): number {
    return this.#state.size;
  }

  checkpoint(): string | undefined {
    return this.#state.checkpoint || undefined;
  }

  async take(run: LogEntries): Promise<MirrorOutcome> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new LedgerError('ERR_LEDGER_CLOSED', 'could not take entries: found the mirror closed');
    }
    if (this.#taking !== undefined) return this.#refuse('busy', 'found another run being taken');
    const taking = this.#take(run);
    this.#taking = taking;
    try {
      return await taking;
    } finally {
      this.#taking = undefined;
    }
  }

  read(index: number, options: { count: number; bytesMax: number }): Promise<LogEntries> {
    return this.#reader.read(index, options, this.#state);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #take({ start, entries, checkpoint: note }: LogEntries): Promise<MirrorOutcome> {
    let checkpoint: Checkpoint;
    try {
      checkpoint = this.#open(note);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      return this.#refuse('signature', error.message);
    }
    if (checkpoint.origin !== this.origin) {
      return this.#refuse('signature', `found a checkpoint of '${checkpoint.origin}'`);
    }
    if (checkpoint.size <= this.#state.size) return this.#takeHeld(entries, checkpoint);
    if (start > this.#state.size) {
      return this.#refuse('gap', `found entries from ${start}, expected ${this.#state.size}`);
    }
    if (start + entries.length !== checkpoint.size) {
      return this.#refuse(
        'extent',
        `found entries up to ${start + entries.length}, expected the checkpoint's ${checkpoint.size}`,
      );
    }
    return this.#takeNew(entries.slice(this.#state.size - start), checkpoint, note);
  }

  /** Nothing new: the same tree as the mirror's, or an earlier one, or a contradiction. */
  async #takeHeld(entries: readonly Uint8Array[], checkpoint: Checkpoint): Promise<MirrorOutcome> {
    const { size } = checkpoint;
    const root = size === this.#state.size ? this.#tree.rootText() : await this.#rootOfPrefix(size);
    if (root === undefined) return this.#refuse('busy', 'found too many older checkpoints shown');
    if (!isSameRoot(root, checkpoint)) {
      return this.#refuse('fork', `found another root of size ${size} than the one held`);
    }
    if (size < this.#state.size && entries.length === 0) {
      return this.#refuse(
        'rollback',
        `found a log of ${size} entries, expected ${this.#state.size}`,
      );
    }
    return { kind: 'taken', size: this.#state.size };
  }

  async #rootOfPrefix(size: number): Promise<HashText | undefined> {
    if (this.#prefix?.size === size) return this.#prefix.root;
    const atMs = this.#now();
    const sinceMs = atMs - (this.#prefix?.atMs ?? Number.NEGATIVE_INFINITY);
    // A clock that went back does not lock the door.
    if (sinceMs >= 0 && sinceMs < PREFIX_INTERVAL_MS) return undefined;
    const root = await rootOfPrefix(this.#disk, this.#store.spans, size);
    this.#prefix = { size, root, atMs };
    return root;
  }

  async #takeNew(
    entries: readonly Uint8Array[],
    checkpoint: Checkpoint,
    note: string,
  ): Promise<MirrorOutcome> {
    const bytes = entries.reduce((sum, entry) => sum + entry.length + 6, 1024 + note.length);
    const wrong = entries.find((entry) => entry.length < 1 || entry.length > ENTRY_BYTES_MAX);
    if (wrong !== undefined || bytes > FRAME_BYTES_MAX) {
      return this.#refuse('extent', `found an entry of ${wrong?.length} or ${bytes} bytes in all`);
    }
    const tree = this.#tree.clone();
    const frame = new FrameBuilder(bytes);
    for (const entry of entries) tree.appendText(frame.add(entry));
    if (!isSameRoot(tree.rootText(), checkpoint)) {
      return this.#refuse(
        'fork',
        `found entries that do not make the signed root of size ${checkpoint.size}`,
      );
    }
    const firstIndex = this.#state.size;
    const finished = frame.finish({ firstIndex, checkpoint: note, writtenAtMs: this.#now() });
    try {
      await this.#store.append(finished, this.#state);
    } catch (cause) {
      this.#failure = new LedgerError(
        'ERR_LEDGER_FAILED',
        `could not mirror: found a failing disk after ${this.#state.size} entries`,
        { cause },
      );
      throw this.#failure;
    }
    this.#tree = tree;
    this.#state = { size: tree.size, hashes: tree.hashes(), checkpoint: note };
    return { kind: 'taken', size: tree.size };
  }

  #refuse(code: MirrorRefusal, detail: string): MirrorOutcome {
    return { kind: 'refused', code, detail, size: this.#state.size };
  }

  async #close(): Promise<void> {
    await this.#taking?.catch(() => undefined);
    try {
      await this.#store.close();
    } finally {
      await this.#unlock();
    }
  }
}

function isSameRoot(text: string, checkpoint: Checkpoint): boolean {
  return Buffer.compare(toHashBytes(text), checkpoint.root) === 0;
}
