import { Batch } from './batch.ts';
import { LedgerError } from './ledger-error.ts';
import type { Log, LogDisk, LogEntries, LogOptions } from './log.ts';
import type { MerkleFrontier } from './merkle/frontier.ts';
import { EMPTY_ROOT, toHashBytes } from './merkle/hash.ts';
import { formatCheckpoint } from './note/checkpoint.ts';
import {
  assembleNote,
  openNote,
  type SignatureLinePrefix,
  signatureLinePrefix,
  signNote,
} from './note/note.ts';
import { ed25519Verifier, type NoteVerifier, verifierKey } from './note/verifier-key.ts';
import type { NoteSigner } from './note-signer.ts';
import { EntryReader } from './segment/entry-reader.ts';
import { ENTRY_BYTES_MAX } from './segment/frame.ts';
import { recoverSegments } from './segment/recover-segments.ts';
import type { TreeState } from './segment/segment-header.ts';
import { requireBound, SEGMENT_BYTES_MAX, SegmentStore } from './segment/segment-store.ts';
import { keepVerifierKey } from './verifier-key-file.ts';

const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** A frame is not made longer than about this, so that one push carries a whole one. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Opens the log in a folder for its one writer, making it when there is none.
 *
 * Entries are committed in groups, adaptively: with nothing in flight a commit starts at once (after the
 * callbacks of this turn of the event loop), and what arrives during it makes the next. A commit is one
 * frame, holding the entries and the signed checkpoint of the tree after them, one write and one fdatasync.
 *
 * A write, fdatasync or signature that fails is fatal for this object: everyone who waits is rejected, later
 * appends throw, nothing is retried, because after a failed fdatasync nobody knows what is on disk.
 * No checkpoint is given out before its frame is durable, so that none that was given out is ever contradicted.
 *
 * @throws {LedgerError} `ERR_LEDGER_LOCKED`, `ERR_LEDGER_CORRUPT` naming file and offset,
 *   `ERR_LEDGER_KEY_MISMATCH`, `ERR_LEDGER_OPTION`
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const { origin, signer, disk } = options;
  const queueBytesMax = requireBound('queueBytesMax', options.queueBytesMax ?? QUEUE_BYTES_MAX);
  const segmentBytesMax = requireBound(
    'segmentBytesMax',
    options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
  );
  if (signer.name !== origin) {
    throw new LedgerError(
      'ERR_LEDGER_OPTION',
      `could not open log: found signer '${signer.name}', expected the origin '${origin}'`,
    );
  }
  const verifier = ed25519Verifier(signer.name, signer.publicKey);
  const unlock = await disk.lock();
  try {
    await requireWorkingSigner(origin, signer, verifier);
    await keepVerifierKey(disk, verifierKey(origin, signer.publicKey));
    const recovered = await recoverSegments(disk, { origin, verifier });
    const { frontier } = recovered;
    const state: TreeState = {
      size: frontier.size,
      hashes: frontier.hashes(),
      checkpoint: recovered.checkpoint || (await signNote(emptyCheckpoint(origin), signer)),
    };
    const store = await SegmentStore.open({ disk, segmentBytesMax, state, ...recovered });
    return new GroupCommitLog({
      ...options,
      queueBytesMax,
      droppedBytes: recovered.droppedBytes,
      unlock,
      store,
      frontier,
      state,
    });
  } catch (error) {
    await unlock();
    throw error;
  }
}

class GroupCommitLog implements Log {
  readonly origin: string;
  readonly droppedBytes: number;
  readonly #signer: NoteSigner;
  readonly #linePrefix: SignatureLinePrefix;
  readonly #now: () => number;
  readonly #queueBytesMax: number;
  readonly #unlock: () => Promise<void>;
  readonly #store: SegmentStore;
  readonly #reader: EntryReader;
  readonly #listeners = new Set<(size: number) => void>();

  /** The tree over everything appended, durable or not. */
  readonly #tree: MerkleFrontier;
  /** The tree over everything durable. */
  #durable: TreeState;
  /** In order; during a commit the first is the one in flight. Only the last may take entries. */
  readonly #batches: Batch[] = [];
  #queuedBytes = 0;
  #expectedBytes = 0;
  #isCommitting = false;
  #failure: LedgerError | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    parts: LogOptions & {
      queueBytesMax: number;
      droppedBytes: number;
      unlock: () => Promise<void>;
      store: SegmentStore;
      frontier: MerkleFrontier;
      state: TreeState;
      disk: LogDisk;
    },
  ) {
    this.origin = parts.origin;
    this.droppedBytes = parts.droppedBytes;
    this.#signer = parts.signer;
    this.#linePrefix = signatureLinePrefix(parts.signer);
    this.#now = parts.now;
    this.#queueBytesMax = parts.queueBytesMax;
    this.#unlock = parts.unlock;
    this.#store = parts.store;
    this.#reader = new EntryReader(parts.disk, parts.store);
    this.#tree = parts.frontier;
    this.#durable = parts.state;
  }

  get nextIndex(): number {
    return this.#tree.size;
  }

  get size(): number {
    return this.#durable.size;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  append(entry: Uint8Array): number {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new LedgerError('ERR_LEDGER_CLOSED', 'could not append: found the log closed');
    }
    if (entry.length < 1 || entry.length > ENTRY_BYTES_MAX) {
      throw new LedgerError(
        'ERR_LEDGER_ENTRY_SIZE',
        `could not append: found ${entry.length} bytes, expected 1 to ${ENTRY_BYTES_MAX}`,
      );
    }
    if (this.#queuedBytes + entry.length > this.#queueBytesMax) {
      throw new LedgerError(
        'ERR_LEDGER_QUEUE_FULL',
        `could not append: found ${this.#queuedBytes} bytes waiting, expected room for ${entry.length} below ${this.#queueBytesMax}`,
      );
    }
    const index = this.#tree.size;
    this.#tree.appendText(this.#fillingBatch(entry.length).add(entry));
    this.#queuedBytes += entry.length;
    if (!this.#isCommitting) {
      this.#isCommitting = true;
      // After the callbacks of this turn, so that requests that came in together share one signature.
      setImmediate(() => void this.#commitAll());
    }
    return index;
  }

  durable(index: number): Promise<void> {
    if (index >= 0 && index < this.#durable.size) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const batch = this.#batches.find((each) => index < each.endIndex);
    if (batch === undefined || !(index >= 0)) {
      return Promise.reject(
        new LedgerError(
          'ERR_LEDGER_RANGE',
          `could not wait: found index ${index}, expected one below ${this.nextIndex}`,
        ),
      );
    }
    return batch.durable();
  }

  appendedRoot(): Uint8Array {
    return toHashBytes(this.#tree.rootText());
  }

  checkpoint(): string {
    return this.#durable.checkpoint;
  }

  read(index: number, options: { count: number; bytesMax: number }): Promise<LogEntries> {
    return this.#reader.read(index, options, this.#durable);
  }

  onCommit(listener: (size: number) => void): () => void {
    // Wrapped, so that one function given twice is two listeners.
    const own = (size: number) => listener(size);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The batch that the next entry goes into. */
  #fillingBatch(entryBytes: number): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.sealed === undefined) {
      if (last.frame.bytes + entryBytes <= BATCH_BYTES_MAX) return last;
      last.seal(this.#tree, this.origin);
    }
    const batch = new Batch(this.#tree.size, this.#expectedBytes);
    this.#batches.push(batch);
    return batch;
  }

  async #commitAll(): Promise<void> {
    try {
      for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
        await this.#commit(batch);
      }
    } catch (cause) {
      this.#fail(cause);
    }
    this.#isCommitting = false;
  }

  async #commit(batch: Batch): Promise<void> {
    const { text, hashes } = batch.seal(this.#tree, this.origin);
    const signing = this.#signer.sign(Buffer.from(text));
    const signature = signing instanceof Promise ? await signing : signing;
    const checkpoint = assembleNote(text, signature, this.#linePrefix);
    const { firstIndex, endIndex } = batch;
    const frame = batch.frame.finish({ firstIndex, checkpoint, writtenAtMs: this.#now() });
    await this.#store.append(frame, this.#durable);
    // INVARIANT: the frame is durable before anything below is seen outside.
    this.#durable = { size: endIndex, hashes, checkpoint };
    this.#batches.shift();
    this.#queuedBytes -= batch.entryBytes;
    this.#expectedBytes = frame.length;
    batch.settle();
    for (const listener of this.#listeners) this.#notify(listener);
  }

  #notify(listener: (size: number) => void): void {
    try {
      listener(this.#durable.size);
    } catch (error) {
      // A listener's bug is neither the log's failure nor silence.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #fail(cause: unknown): void {
    this.#failure = new LedgerError(
      'ERR_LEDGER_FAILED',
      `could not commit: found a failing disk or signer after ${this.#durable.size} durable entries`,
      { cause },
    );
    for (const batch of this.#batches.splice(0)) batch.settle(this.#failure);
    this.#queuedBytes = 0;
  }

  async #close(): Promise<void> {
    // The failure is told below, after the lock was given up.
    await this.#batches
      .at(-1)
      ?.durable()
      .catch(() => undefined);
    try {
      await this.#store.close();
    } finally {
      await this.#unlock();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** A key that does not fit its public half would make a log that nobody can verify or reopen. */
async function requireWorkingSigner(
  origin: string,
  signer: NoteSigner,
  verifier: NoteVerifier,
): Promise<void> {
  try {
    openNote(await signNote(emptyCheckpoint(origin), signer), [verifier]);
  } catch (cause) {
    throw new LedgerError(
      'ERR_LEDGER_KEY_MISMATCH',
      `could not open log: found a signer whose signatures its public key does not verify`,
      { cause },
    );
  }
}

/** Every log begins with it, so that signing it again says nothing new. */
function emptyCheckpoint(origin: string): string {
  return formatCheckpoint({ origin, size: 0, root: toHashBytes(EMPTY_ROOT) });
}
