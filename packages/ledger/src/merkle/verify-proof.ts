import { LedgerError } from '../ledger-error.ts';
import { EMPTY_ROOT, HASH_BYTES, leafHash as hashLeaf, nodeHash, toHashBytes } from './hash.ts';

/** A tree as a checkpoint commits to it. */
export interface TreeHead {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** What an inclusion proof is about: the leaf by its bytes or by its hash. */
export type InclusionClaim = {
  /** Zero based, below `checkpoint.size`. */
  readonly index: number;
  readonly checkpoint: TreeHead;
} & ({ readonly leaf: Uint8Array } | { readonly leafHash: Uint8Array });

/**
 * Verifies that a leaf is in the log that `checkpoint` commits to.
 *
 * @param proof sibling hashes from leaf to root, 32 bytes each, at most 53
 * @returns nothing: returning is the proof
 * @throws {LedgerError} `ERR_LEDGER_PROOF_INVALID` when the root does not match
 * @see RFC 9162 §2.1.3.2
 */
export function verifyInclusion(proof: readonly Uint8Array[], claim: InclusionClaim): void {
  const { index, checkpoint } = claim;
  requireHead('inclusion', checkpoint);
  requireHashes('inclusion', proof);
  let hash = 'leaf' in claim ? hashLeaf(claim.leaf) : claim.leafHash;
  requireHashes('inclusion', [hash]);
  // RFC 9162 §2.1.3.2 step 1.
  if (!Number.isSafeInteger(index) || index < 0 || index >= checkpoint.size) {
    refuse('inclusion', `found index ${index}, expected one below ${checkpoint.size}`);
  }
  let position = index;
  let last = checkpoint.size - 1;
  for (const sibling of proof) {
    // Step 4.1.
    if (last === 0) refuse('inclusion', `found ${proof.length} hashes, expected fewer`);
    if (position % 2 === 1 || position === last) {
      hash = nodeHash(sibling, hash);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    position = half(position);
    last = half(last);
  }
  // Step 5.
  if (last !== 0) refuse('inclusion', `found ${proof.length} hashes, expected more`);
  requireRoot('inclusion', hash, checkpoint);
}

/**
 * Verifies that the tree of `from` is a prefix of the tree of `to`: nothing was changed or removed.
 *
 * @param proof as {@link consistencyProof} makes it; empty when `from` is empty or both are equal
 * @returns nothing: returning is the proof
 * @throws {LedgerError} `ERR_LEDGER_PROOF_INVALID` when a root does not match
 * @see RFC 9162 §2.1.4.2
 */
export function verifyConsistency(
  proof: readonly Uint8Array[],
  { from, to }: { readonly from: TreeHead; readonly to: TreeHead },
): void {
  requireHead('consistency', from);
  requireHead('consistency', to);
  requireHashes('consistency', proof);
  if (from.size > to.size) refuse('consistency', `found size ${to.size} after ${from.size}`);
  if (from.size === 0 || from.size === to.size) {
    if (proof.length > 0) refuse('consistency', `found ${proof.length} hashes, expected none`);
    requireRoot('consistency', from.size === 0 ? toHashBytes(EMPTY_ROOT) : to.root, from);
    return;
  }
  // Step 1: where `from` is a power of two, its own root is the first hash.
  const isPower = Number.isInteger(Math.log2(from.size)) && 2 ** Math.log2(from.size) === from.size;
  const path = isPower ? [from.root, ...proof] : proof;
  const [first, ...rest] = path;
  if (first === undefined) refuse('consistency', 'found no hashes, expected some');
  let position = from.size - 1;
  let last = to.size - 1;
  // Step 4.
  while (position % 2 === 1) {
    position = half(position);
    last = half(last);
  }
  let old = first;
  let grown = first;
  for (const hash of rest) {
    // Step 6.1.
    if (last === 0) refuse('consistency', `found ${proof.length} hashes, expected fewer`);
    if (position % 2 === 1 || position === last) {
      old = nodeHash(hash, old);
      grown = nodeHash(hash, grown);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = half(last);
      }
    } else {
      grown = nodeHash(grown, hash);
    }
    position = half(position);
    last = half(last);
  }
  if (last !== 0) refuse('consistency', `found ${proof.length} hashes, expected more`);
  requireRoot('consistency', old, from);
  requireRoot('consistency', grown, to);
}

/** Division, because `>>` would wrap at 2^31. */
function half(value: number): number {
  return Math.floor(value / 2);
}

function requireHead(what: string, head: TreeHead): void {
  if (!Number.isSafeInteger(head.size) || head.size < 0) {
    refuse(what, `found size ${head.size}, expected 0 to 2^53 - 1`);
  }
  requireHashes(what, [head.root]);
}

function requireHashes(what: string, hashes: readonly Uint8Array[]): void {
  const wrong = hashes.find((hash) => hash.length !== HASH_BYTES);
  if (wrong) refuse(what, `found a hash of ${wrong.length} bytes, expected ${HASH_BYTES}`);
}

function requireRoot(what: string, found: Uint8Array, head: TreeHead): void {
  if (Buffer.compare(found, head.root) !== 0) {
    refuse(what, `found another root than the checkpoint of size ${head.size}`);
  }
}

function refuse(what: string, found: string): never {
  throw new LedgerError('ERR_LEDGER_PROOF_INVALID', `could not verify ${what}: ${found}`);
}
