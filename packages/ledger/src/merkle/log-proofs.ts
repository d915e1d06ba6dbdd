import { LedgerError } from '../ledger-error.ts';
import type { Log } from '../log.ts';
import { type PublishedPlace, PublishedPrefix } from '../tiles/published-prefix.ts';
import { MerkleFrontier } from './frontier.ts';
import { leafHash, leafHashText } from './hash.ts';
import { consistencyProof } from './make-proof.ts';
import { type HashSource, MerkleTree } from './tree.ts';

/** Leaves whose root is kept; within a block hashes are computed anew for each proof. */
const BLOCK_LEAVES = 256;
const BLOCK_LEVEL = 8;
const READ_BYTES_MAX = 1024 * 1024;
const READ_COUNT_MAX = 65_536;
/** For a few hundred entries, as checkpoints are: a read brings whole commits as long as they fit. */
const BLOCK_BYTES_MAX = 128 * 1024;

/** Leaves behind the published ones after which it is looked whether more is published. */
const TAIL_COUNT_MAX = 4096;

/** What proofs need of a log or mirror. */
export type ReadableLog = Pick<Log, 'size' | 'read'>;

/**
 * Makes consistency proofs over a log or mirror that grows.
 *
 * Reads each entry once, when a proof first needs it, and keeps the roots of whole blocks of 256 leaves: a quarter of a byte
 * for each entry. A proof then reads two blocks at most. Where the log is published, old hashes come out of its tiles instead: two for
 * each factor of 256 in its size, and of the log is read what is not published yet.
 *
 * @param options.published where the log is published; what is there is used only when it is the log's own beginning
 */
export function logProofs(
  log: ReadableLog,
  { published }: { readonly published?: PublishedPlace } = {},
): {
  /** @throws {LedgerError} `ERR_LEDGER_RANGE` unless 0 <= from <= to <= log.size, and as `Log.read` */
  consistency(from: number, to: number): Promise<Uint8Array[]>;
} {
  const blocks = new MerkleTree();
  /** The leaves behind the last whole block that were read on the way. */
  let block = new MerkleFrontier();
  /** Growing takes turns. */
  let growing: Promise<unknown> = Promise.resolve();
  const grow = async (blockCount: number): Promise<void> => {
    while (blocks.size < blockCount) {
      const start = blocks.size * BLOCK_LEAVES + block.size;
      const { entries } = await log.read(start, {
        count: READ_COUNT_MAX,
        bytesMax: READ_BYTES_MAX,
      });
      for (const entry of entries) {
        block.appendText(leafHashText(entry));
        if (block.size < BLOCK_LEAVES) continue;
        blocks.appendHash(block.root());
        block = new MerkleFrontier();
      }
    }
  };
  let prefix: Promise<PublishedPrefix | undefined> = Promise.resolve(undefined);
  /** What is published, opened anew when much came behind it; proofs take turns with that. */
  const openPrefix = async (place: PublishedPlace): Promise<PublishedPrefix | undefined> => {
    const opened = await prefix.catch(() => undefined);
    if (opened !== undefined && opened.tailCount <= TAIL_COUNT_MAX) return opened;
    return (await PublishedPrefix.open(log, place)) ?? opened;
  };
  const fromPublished = async (from: number, to: number): Promise<Uint8Array[] | undefined> => {
    if (published === undefined) return undefined;
    prefix = openPrefix(published);
    try {
      return await (await prefix)?.consistency(from, to);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      // A damaged tile: the log itself has the last word.
      return undefined;
    }
  };
  let proving: Promise<unknown> = Promise.resolve();
  return {
    async consistency(from, to) {
      if (!(from >= 0 && from <= to && to <= log.size)) {
        throw new LedgerError(
          'ERR_LEDGER_RANGE',
          `could not prove consistency: found ${from} to ${to}, expected a range within ${log.size} entries`,
        );
      }
      if (from === 0 || from === to) return [];
      const proven = proving.then(() => fromPublished(from, to));
      proving = proven.catch(() => undefined);
      const proof = await proven;
      if (proof !== undefined) return proof;
      const grown = growing.then(() => grow(Math.floor(to / BLOCK_LEAVES)));
      growing = grown.catch(() => undefined);
      await grown;
      const loaded = new Map<number, MerkleTree>();
      for (const size of [from, to]) {
        const block = Math.floor(size / BLOCK_LEAVES);
        const count = Math.min(BLOCK_LEAVES, to - block * BLOCK_LEAVES);
        if (count === 0 || loaded.has(block)) continue;
        const tree = new MerkleTree();
        for (const entry of await readAll(log, block * BLOCK_LEAVES, count)) {
          tree.appendHash(leafHash(entry));
        }
        loaded.set(block, tree);
      }
      return consistencyProof(twoParts(to, blocks, loaded), { from, to });
    },
  };
}

/** Hashes of whole blocks, and below them of the few blocks that were loaded. */
function twoParts(
  size: number,
  blocks: MerkleTree,
  loaded: ReadonlyMap<number, MerkleTree>,
): HashSource {
  return {
    size,
    hashAt(level, index) {
      if (level >= BLOCK_LEVEL) return blocks.hashAt(level - BLOCK_LEVEL, index);
      const perBlock = 2 ** (BLOCK_LEVEL - level);
      const block = Math.floor(index / perBlock);
      const tree = loaded.get(block);
      if (tree === undefined) {
        throw new LedgerError(
          'ERR_LEDGER_RANGE',
          `could not find hash: found block ${block} not loaded`,
        );
      }
      return tree.hashAt(level, index % perBlock);
    },
  };
}

async function readAll(log: ReadableLog, start: number, count: number): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  while (entries.length < count) {
    const run = await log.read(start + entries.length, {
      count: count - entries.length,
      bytesMax: BLOCK_BYTES_MAX,
    });
    if (run.entries.length === 0) {
      throw new LedgerError(
        'ERR_LEDGER_RANGE',
        `could not read entries: found the log's end at ${start + entries.length}`,
      );
    }
    entries.push(...run.entries);
  }
  return entries;
}
