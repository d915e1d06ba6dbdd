import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { leafHashText, toHashText } from '../merkle/hash.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import { type NoteVerifier, parseVerifierKey } from '../note/verifier-key.ts';
import { type FramePlace, type StoredFrame, storedFrames } from '../segment/stored-frames.ts';
import { VERIFIER_KEY_FILE } from '../verifier-key-file.ts';
import type { VerifiedEntry } from '../verify/log-report.ts';
import { emptyState, type WalkState, walkLog } from '../verify/walk-log.ts';
import { TILE_WIDTH } from './tile-path.ts';
import { CHECKPOINT_PATH, type TileStore } from './tile-store.ts';
import { TileTree } from './tile-tree.ts';
import { TileWriter } from './tile-writer.ts';

/** How a log is published. */
export interface PublishOptions {
  /** The log's key, in C2SP's form: what is published already and what is read must be signed by it. */
  readonly verifierKey: string;
  /** Called after each segment of the log, when what is in it was published. */
  readonly onProgress?: (progress: PublishProgress) => void;
}

/** How far a publication is. */
export interface PublishProgress {
  /** Entries that the published checkpoint covers. */
  readonly size: number;
  /** Files written so far: tiles and bundles. */
  readonly files: number;
}

/** Why a log was not published. */
export type PublishRefusal =
  /** What is published is signed by the log's key and contradicts the log: two histories under one key. */
  | 'fork'
  /** The log is a prefix of what is published: it lost what it had given away, or is a copy that lags. */
  | 'rollback'
  /** The published checkpoint is not signed by the log's key, or is of another origin. */
  | 'signature'
  /** Another publisher put a checkpoint in place meanwhile. */
  | 'raced';

/** What came of a publication. */
export type PublishOutcome =
  | {
      readonly kind: 'published';
      /** Entries that were published before; nothing was there: 0. */
      readonly from: number;
      readonly size: number;
      readonly checkpoint: string;
      /** Tiles and bundles written. */
      readonly files: number;
    }
  /** What is published is the log's last checkpoint, or the log has no entries. */
  | { readonly kind: 'unchanged'; readonly size: number }
  | {
      readonly kind: 'refused';
      readonly code: PublishRefusal;
      readonly detail: string;
      /** Entries published. */
      readonly size: number;
    };

/**
 * Publishes a log's last durable commit in the layout of C2SP tlog-tiles, with the verifier key at `vkey`.
 *
 * Reads the log's files and writes nothing to them, so that it may be the log of a running writer, or a mirror. Nothing
 * in them is trusted: every entry is hashed again, every checkpoint's signature and root verified. Segments whose entries
 * are all published are not read, and only tiles and bundles that the published checkpoint does not cover are written;
 * they are durable before their checkpoint is put in place, which happens after each segment, so that an
 * interrupted publication goes on where it was.
 *
 * The tree that is published grows out of the published one: its right edge, authenticated by its own checkpoint, is
 * continued with the log's entries and must make the root that the log signed. So two writers with one key (a cloned
 * folder) never publish two histories to one store.
 *
 * @returns what was done; a refusal changes nothing that readers see
 * @throws {LedgerError} `ERR_LEDGER_LOCKED` when another publisher is at work; `ERR_LEDGER_CORRUPT` naming the place
 *   in the log or in what is published; `ERR_LEDGER_KEY_INVALID`; whatever disk and store throw
 * @see C2SP tlog-tiles v0.1.0
 */
export async function publishTiles(
  disk: LogDisk,
  store: TileStore,
  { verifierKey, onProgress }: PublishOptions,
): Promise<PublishOutcome> {
  const verifier = parseVerifierKey(verifierKey);
  const unlock = await store.lock();
  try {
    const publication = await openPublication(disk, store, { verifierKey, verifier });
    return 'kind' in publication ? publication : await publication.run(onProgress);
  } finally {
    await unlock();
  }
}

/** A publication refused, and why. */
export type Refused = Extract<PublishOutcome, { kind: 'refused' }>;

/** Begins a publication on top of what is published; whoever calls has the store's lock. */
export async function openPublication(
  disk: LogDisk,
  store: TileStore,
  { verifierKey, verifier }: { readonly verifierKey: string; readonly verifier: NoteVerifier },
): Promise<Publication | Refused> {
  const published = await openPublished(store, verifier);
  if ('kind' in published) return published;
  const key = await keepPublishedKey(store, published, verifierKey);
  if (key !== undefined) return refused(published.tree.size, 'signature', key);
  return new Publication(disk, store, published, verifier);
}

/** What stands in the store, authenticated: the empty tree where there is no checkpoint. */
export interface Published {
  readonly note: string | undefined;
  readonly origin: string | undefined;
  readonly tree: TileTree;
}

/** Opens what a store holds; refused when another key signed it. */
export async function openPublished(
  store: TileStore,
  verifier: NoteVerifier,
): Promise<Published | Refused> {
  const bytes = await store.read(CHECKPOINT_PATH);
  if (bytes === undefined) {
    return {
      note: undefined,
      origin: undefined,
      tree: await TileTree.open(store.read, emptyState()),
    };
  }
  const note = Buffer.from(bytes).toString();
  try {
    const checkpoint = openCheckpoint(note, [verifier]);
    const { origin } = checkpoint;
    return { note, origin, tree: await TileTree.open(store.read, checkpoint) };
  } catch (error) {
    const isUnsigned = error instanceof LedgerError && error.code !== 'ERR_LEDGER_CORRUPT';
    if (!isUnsigned) throw error;
    return refused(0, 'signature', error.message);
  }
}

/** The key goes with what is published; what is wrong with the one there, if it is another. */
export async function keepPublishedKey(
  store: TileStore,
  { note }: Published,
  key: string,
): Promise<string | undefined> {
  const line = `${key.trim()}\n`;
  const found = await store.read(VERIFIER_KEY_FILE);
  if (found !== undefined && Buffer.from(found).toString() === line) return undefined;
  // Before the first checkpoint nothing was published, whatever a publication that never finished left.
  if (found !== undefined && note !== undefined) {
    return `found the key of another log in '${VERIFIER_KEY_FILE}'`;
  }
  await store.write(VERIFIER_KEY_FILE, Buffer.from(line));
  return undefined;
}

/** One tree that is being published: the published one, and the log's entries behind it. */
export class Publication {
  readonly #disk: LogDisk;
  readonly #store: TileStore;
  readonly #verifier: NoteVerifier;
  readonly #before: TileTree;
  #origin: string | undefined;
  readonly #writer: TileWriter;
  #note: string | undefined;
  /** Entries that the checkpoint in the store covers. */
  #size: number;

  constructor(disk: LogDisk, store: TileStore, published: Published, verifier: NoteVerifier) {
    const { note, origin, tree } = published;
    this.#disk = disk;
    this.#store = store;
    this.#verifier = verifier;
    this.#before = tree;
    this.#origin = origin;
    this.#writer = new TileWriter(store, tree);
    this.#note = note;
    this.#size = tree.size;
  }

  async run(onProgress: PublishOptions['onProgress']): Promise<PublishOutcome> {
    const state = emptyState();
    // The published bundle that is not full is completed out of the log, so that it begins where that does.
    const from = this.#size - (this.#size % TILE_WIDTH);
    let commit: WalkState = { ...state };
    let file = '';
    for await (const step of walkLog(this.#disk, { verifiers: [this.#verifier], from }, state)) {
      // The end of a live log may be being written.
      const problem = step.problems.find(({ code }) => code !== 'torn');
      if (problem !== undefined) throw corrupt(problem, problem.detail);
      const [first] = step.entries;
      if (first === undefined) continue;
      if (file !== '' && first.file !== file) {
        const refusal = await this.#publish(commit, file);
        if (refusal !== undefined) return refusal;
        onProgress?.({ size: this.#size, files: this.#writer.files });
      }
      file = first.file;
      const refusal = (await this.#take(step.entries, from)) ?? this.#requireSameTree(state);
      if (refusal !== undefined) return refusal;
      commit = { ...state };
    }
    return this.#end(state, file);
  }

  /** Entries that the checkpoint in the store covers. */
  get size(): number {
    return this.#size;
  }

  /**
   * Publishes what came since the last time, after {@link run}: reads what is new alone.
   *
   * @param until how many entries of the log are known to be durable
   * @param place where the reading before this one ended
   * @returns with the place where this one ended. After a refusal or a throw the publication is used up
   */
  async advance(
    until: number,
    place: FramePlace | undefined,
  ): Promise<{ readonly outcome: PublishOutcome; readonly place: FramePlace | undefined }> {
    const from = this.#size;
    const filesBefore = this.#writer.files;
    let last: StoredFrame | undefined;
    for await (const frame of storedFrames(this.#disk, from, {
      until,
      ...(place && { from: place }),
    })) {
      for (const { index, bytes } of frame.entries) {
        // The first frame may hold entries that are published.
        if (index === this.#writer.edge.size) {
          await this.#writer.append(bytes, leafHashText(bytes));
        }
      }
      last = frame;
    }
    if (last === undefined) return { outcome: { kind: 'unchanged', size: from }, place };
    const { checkpoint: note } = last;
    const checkpoint = openCheckpoint(note, [this.#verifier]);
    const refusal =
      this.#requireSameTree(checkpoint) ??
      (await this.#publish({ size: checkpoint.size, checkpoint: note }));
    if (refusal !== undefined) return { outcome: refusal, place: undefined };
    this.#writer.keep();
    const files = this.#writer.files - filesBefore;
    const outcome = { kind: 'published', from, size: this.#size, checkpoint: note, files } as const;
    return { outcome, place: last.next };
  }

  async #end(state: WalkState, file: string): Promise<PublishOutcome> {
    const from = this.#before.size;
    if (state.size < from) return this.#shorter(state);
    // A log without entries has nothing signed that could be another's.
    const refusal =
      state.size === 0
        ? undefined
        : (this.#requireSameTree(state) ?? (await this.#publish(state, file)));
    if (refusal !== undefined) return refusal;
    const size = this.#size;
    this.#writer.keep();
    if (size === from) return { kind: 'unchanged', size };
    return {
      kind: 'published',
      from,
      size,
      checkpoint: state.checkpoint,
      files: this.#writer.files,
    };
  }

  async #take(entries: readonly VerifiedEntry[], from: number): Promise<Refused | undefined> {
    for (const { index, bytes } of entries) {
      if (index < from) continue;
      const leafHash = leafHashText(bytes);
      if (index >= this.#before.size) await this.#writer.append(bytes, leafHash);
      else if (!this.#writer.repeat(bytes, leafHash)) {
        return this.#refuse('fork', `found another entry ${index} than the one published`);
      }
    }
    return undefined;
  }

  /** INVARIANT: no checkpoint is published but of the tree that grows out of the published one. */
  #requireSameTree({
    origin,
    size,
    root,
  }: Pick<WalkState, 'origin' | 'size' | 'root'>): Refused | undefined {
    if (this.#origin !== undefined && origin !== this.#origin) {
      const found = `found a log of '${origin}', expected the published '${this.#origin}'`;
      return this.#refuse('signature', found);
    }
    if (size < this.#before.size || this.#writer.edge.root() === toHashText(root)) return undefined;
    const found = `found another tree of ${size} entries than the ${this.#before.size} published ones continue to`;
    return this.#refuse('fork', found);
  }

  /** @param file what of the log is not known to be durable; nothing when all is */
  async #publish(
    { size, checkpoint }: Pick<WalkState, 'size' | 'checkpoint'>,
    file?: string,
  ): Promise<Refused | undefined> {
    if (size <= this.#size) return undefined;
    await this.#writer.finish();
    // What its writer has not synced yet could still be lost, and the log could then grow otherwise.
    if (file !== undefined) await this.#disk.sync(file);
    // INVARIANT: what a checkpoint covers is durable before the checkpoint is seen.
    await this.#store.sync();
    if (!(await this.#store.swapCheckpoint(this.#note, checkpoint))) {
      return this.#refuse('raced', 'found another checkpoint than before: somebody else publishes');
    }
    this.#note = checkpoint;
    this.#size = size;
    this.#origin ??= openCheckpoint(checkpoint, [this.#verifier]).origin;
    return undefined;
  }

  async #shorter({ size, root }: WalkState): Promise<Refused> {
    const published = await this.#before.rootAt(size);
    if (Buffer.compare(published, root) !== 0) {
      return this.#refuse('fork', `found another tree of ${size} entries than the one published`);
    }
    return this.#refuse(
      'rollback',
      `found a log of ${size} entries, expected ${this.#size} or more`,
    );
  }

  #refuse(code: PublishRefusal, detail: string): Refused {
    return refused(this.#size, code, detail);
  }
}

/** Makes a refusal. */
export function refused(size: number, code: PublishRefusal, detail: string): Refused {
  return { kind: 'refused', code, detail, size };
}
