import { randomBytes } from 'node:crypto';
import { inclusionProof, MerkleTree, rootAt, verifyInclusion } from '@countersign/ledger';
import { quantile } from './figures.ts';

const ENTRIES = 1_000_000;
const PROOFS = 2_000;

/** Milliseconds to make an inclusion proof in a tree of a million entries and check it: median, 99th percentile. */
export function measureProofs(): { readonly p50Ms: number; readonly p99Ms: number } {
  const tree = new MerkleTree();
  const entry = randomBytes(64);
  for (let index = 0; index < ENTRIES; index += 1) {
    entry.writeUInt32BE(index);
    tree.append(entry);
  }
  const checkpoint = { size: ENTRIES, root: rootAt(tree, ENTRIES) };
  const took: number[] = [];
  for (let count = 0; count < PROOFS; count += 1) {
    const index = (count * 7_919) % ENTRIES;
    entry.writeUInt32BE(index);
    const start = performance.now();
    const proof = inclusionProof(tree, { index, size: ENTRIES });
    verifyInclusion(proof, { index, checkpoint, leaf: entry });
    took.push(performance.now() - start);
  }
  took.sort((one, other) => one - other);
  return { p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
}
