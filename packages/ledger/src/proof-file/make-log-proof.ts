import { corrupt, LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';
import { type HashText, leafHashText, nodeHashText, toHashBytes } from '../merkle/hash.ts';
import { inclusionProof } from '../merkle/make-proof.ts';
import type { HashSource } from '../merkle/tree.ts';
import type { NoteVerifier } from '../note/verifier-key.ts';
import { emptyState, walkLog } from '../verify/walk-log.ts';
import type { LogProof } from './log-proof.ts';

/**
 * Proves the entry at `index` of a log or mirror under its last checkpoint, from its files. Reads and verifies the
 * whole log (18 µs an entry) in bounded memory; where the log is published, `TileTree.inclusionProof` needs a few tiles.
 *
 * @returns the proof, and the entry's bytes as they are in the log
 * @throws {LedgerError} `ERR_LEDGER_RANGE` for an index that no checkpoint covers; `ERR_LEDGER_CORRUPT` naming the place
 */
export async function makeLogProof(
  disk: LogDisk,
  { index, verifiers }: { readonly index: number; readonly verifiers: readonly NoteVerifier[] },
): Promise<{ proof: LogProof; leaf: Uint8Array }> {
  const state = emptyState();
  const path = new PathHashes(index);
  let leaf: Uint8Array | undefined;
  for await (const { entries, problems } of walkLog(disk, { verifiers }, state)) {
    const problem = problems.find(({ code }) => code !== 'torn');
    if (problem !== undefined) throw corrupt(problem, problem.detail);
    for (const entry of entries) {
      // Copied: a view would hold its whole segment.
      if (entry.index === index) leaf = Uint8Array.from(entry.bytes);
      path.append(leafHashText(entry.bytes));
    }
  }
  if (leaf === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_RANGE',
      `could not prove entry: found index ${index}, expected one below ${state.size}`,
    );
  }
  const { size, checkpoint } = state;
  return { proof: { index, hashes: inclusionProof(path, { index, size }), checkpoint }, leaf };
}

/** Of a growing tree, the hashes that the proof of one leaf can need: its siblings, and the right edge. */
class PathHashes implements HashSource {
  readonly #index: number;
  readonly #siblings: (HashText | undefined)[] = [];
  /** At each level the last left child, which is the right edge where nothing came beside it. */
  readonly #lefts: (HashText | undefined)[] = [];
  #size = 0;

  constructor(index: number) {
    this.#index = index;
  }

  get size(): number {
    return this.#size;
  }

  append(leafHash: HashText): void {
    let hash = leafHash;
    let index = this.#size++;
    for (let level = 0; ; level++) {
      if (index === siblingOf(Math.floor(this.#index / 2 ** level))) this.#siblings[level] = hash;
      if (index % 2 === 0) {
        this.#lefts[level] = hash;
        return;
      }
      hash = nodeHashText(this.#lefts[level] ?? '', hash);
      index = (index - 1) / 2;
    }
  }

  hashAt(level: number, index: number): Uint8Array {
    const isSibling = index === siblingOf(Math.floor(this.#index / 2 ** level));
    const hash = isSibling ? this.#siblings[level] : this.#lefts[level];
    if (hash === undefined) throw new Error(`expected hash ${index} at level ${level}`);
    return toHashBytes(hash);
  }
}

function siblingOf(index: number): number {
  return index % 2 === 0 ? index + 1 : index - 1;
}
