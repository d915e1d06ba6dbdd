import { LedgerError } from '../ledger-error.ts';
import type { Log } from '../log.ts';
import {
  type HashText,
  leafHashText,
  nodeHashText,
  toHashBytes,
  toHashText,
} from '../merkle/hash.ts';
import { consistencyProof } from '../merkle/make-proof.ts';
import { openCheckpoint } from '../note/checkpoint.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import type { FetchTile } from './fetch-tile.ts';
import { TileEdge } from './tile-edge.ts';
import { CHECKPOINT_PATH } from './tile-store.ts';
import { TileTree } from './tile-tree.ts';

const READ_COUNT_MAX = 65_536;
const READ_BYTES_MAX = 1024 * 1024;

/** Where a log is published, and whose signature its checkpoint must have. */
export interface PublishedPlace {
  readonly read: FetchTile;
  readonly verifiers: readonly NoteVerifier[];
}

/** A log whose beginning is published: old hashes come out of tiles, those of the newest entries out of the log. */
export class PublishedPrefix {
  readonly #log: Pick<Log, 'size' | 'read'>;
  readonly #tree: TileTree;
  /** Leaf hashes behind the published entries, as far as they were needed. */
  readonly #tail: HashText[] = [];

  private constructor(log: Pick<Log, 'size' | 'read'>, tree: TileTree) {
    this.#log = log;
    this.#tree = tree;
  }

  /**
   * Opens what is published, if it is the beginning of this log: its tree, continued with the log's own entries, must make the
   * root that the log itself signed. Reads a few tiles, and of the log what is not published.
   *
   * @returns nothing when none is published, or it is damaged or another history
   */
  static async open(
    log: Pick<Log, 'size' | 'read'>,
    { read, verifiers }: PublishedPlace,
  ): Promise<PublishedPrefix | undefined> {
    try {
      const note = await read(CHECKPOINT_PATH);
      if (note === undefined) return undefined;
      const published = openCheckpoint(Buffer.from(note).toString(), verifiers);
      if (published.size > log.size) return undefined;
      const tree = await TileTree.open(read, published);
      const prefix = new PublishedPrefix(log, tree);
      return (await prefix.#continuesToOwnRoot(verifiers)) ? prefix : undefined;
    } catch (error) {
      if (error instanceof LedgerError) return undefined;
      throw error;
    }
  }

  /** Entries behind the published ones that are held in memory, 32 bytes each. */
  get tailCount(): number {
    return this.#tail.length;
  }

  /**
   * @returns as {@link consistencyProof}, over the log
   * @throws {LedgerError} `ERR_LEDGER_CORRUPT` naming the tile that is not authentic; as `Log.read`
   */
  async consistency(from: number, to: number): Promise<Uint8Array[]> {
    while (this.#tree.size + this.#tail.length < to) await this.#readOn();
    // What a proof asks for does not depend on what it is told.
    const asked = new Map<string, { level: number; index: number }>();
    const placeholder = new Uint8Array(32);
    consistencyProof(
      {
        size: to,
        hashAt(level, index) {
          asked.set(`${level}/${index}`, { level, index });
          return placeholder;
        },
      },
      { from, to },
    );
    const found = new Map<string, Uint8Array>();
    for (const [key, { level, index }] of asked) {
      found.set(key, toHashBytes(await this.#hashOf(level, index)));
    }
    const hashAt = (level: number, index: number) => found.get(`${level}/${index}`) as Uint8Array;
    return consistencyProof({ size: to, hashAt }, { from, to });
  }

  async #hashOf(level: number, index: number): Promise<HashText> {
    const { size } = this.#tree;
    if ((index + 1) * 2 ** level <= size) {
      return toHashText(await this.#tree.subtreeHash(level, index));
    }
    if (level === 0) return this.#tail[index - size] as HashText;
    const left = await this.#hashOf(level - 1, index * 2);
    return nodeHashText(left, await this.#hashOf(level - 1, index * 2 + 1));
  }

  /** The next run of the log's entries behind what is held; gives its checkpoint. */
  async #readOn(): Promise<string> {
    const { entries, checkpoint } = await this.#log.read(this.#tree.size + this.#tail.length, {
      count: READ_COUNT_MAX,
      bytesMax: READ_BYTES_MAX,
    });
    for (const entry of entries) this.#tail.push(leafHashText(entry));
    return checkpoint;
  }

  async #continuesToOwnRoot(verifiers: readonly NoteVerifier[]): Promise<boolean> {
    const edge = new TileEdge(this.#tree.size, this.#tree.edge);
    for (;;) {
      const before = this.#tail.length;
      const head = openCheckpoint(await this.#readOn(), verifiers);
      for (const hash of this.#tail.slice(before)) edge.append(hash);
      if (head.size === edge.size) return edge.root() === toHashText(head.root);
      if (this.#tail.length === before) return false;
    }
  }
}
