import { bundlePath, encodeBundle, MerkleTree, tilePath } from '@countersign/ledger';

/** A tree of `entry 0`, `entry 1` and so on. */
export function treeOf(size: number): MerkleTree {
  const tree = new MerkleTree();
  for (let index = 0; index < size; index++) tree.append(Buffer.from(`entry ${index}`));
  return tree;
}

/**
 * The files of a published log of `size` entries, by the formula of C2SP tlog-tiles ("Merkle Tree"), from a tree
 * that knows nothing of tiles.
 */
export function expectedFiles(
  tree: MerkleTree,
  size: number,
  entryAt: (index: number) => Uint8Array = (index) => Buffer.from(`entry ${index}`),
): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let level = 0; 256 ** level <= size; level++) {
    const count = Math.floor(size / 256 ** level);
    for (let index = 0; index * 256 < count; index++) {
      const width = Math.min(256, count - index * 256);
      const hashes = Array.from({ length: width }, (_, at) =>
        tree.hashAt(level * 8, index * 256 + at),
      );
      files.set(tilePath(level, index, { width }), Buffer.concat(hashes));
      if (level > 0) continue;
      const entries = hashes.map((_, at) => entryAt(index * 256 + at));
      files.set(bundlePath(index, { width }), encodeBundle(entries));
    }
  }
  return files;
}
