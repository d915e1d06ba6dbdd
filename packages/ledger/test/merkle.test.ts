import {
  consistencyProof,
  inclusionProof,
  LedgerError,
  leafHash,
  MerkleFrontier,
  MerkleTree,
  nodeHash,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { must } from './support/sample-log.ts';

/** The eight leaves of Certificate Transparency's reference tests, and the roots after each. */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function treeOf(size: number): MerkleTree {
  const tree = new MerkleTree();
  for (let at = 0; at < size; at++) tree.append(Buffer.from(`leaf ${at}`));
  return tree;
}

function refusal(action: () => unknown): LedgerError {
  try {
    action();
  } catch (error) {
    if (error instanceof LedgerError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

test('makes the roots of the reference leaves of Certificate Transparency', () => {
  const frontier = new MerkleFrontier();
  const tree = new MerkleTree();
  expect(hex(frontier.root())).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  LEAVES.forEach((leaf, at) => {
    frontier.append(leafHash(Buffer.from(leaf, 'hex')));
    tree.append(Buffer.from(leaf, 'hex'));
    expect(hex(frontier.root())).toBe(ROOTS[at]);
    expect(hex(rootAt(tree, at + 1))).toBe(ROOTS[at]);
  });
});

test('makes the inclusion and consistency paths of the reference tests', () => {
  const tree = new MerkleTree();
  for (const leaf of LEAVES) tree.append(Buffer.from(leaf, 'hex'));
  expect(inclusionProof(tree, { index: 0, size: 8 }).map(hex)).toEqual([
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ]);
  expect(consistencyProof(tree, { from: 6, to: 8 }).map(hex)).toEqual([
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ]);
});

test('proves every leaf of every tree up to 130 leaves, and nothing else', () => {
  const tree = treeOf(130);
  for (let size = 1; size <= 130; size++) {
    const checkpoint = { size, root: rootAt(tree, size) };
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(tree, { index, size });
      const leaf = Buffer.from(`leaf ${index}`);
      verifyInclusion(proof, { leaf, index, checkpoint });
      const other = (index + 1) % size;
      if (other !== index) {
        expect(() => verifyInclusion(proof, { leaf, index: other, checkpoint })).toThrow(
          LedgerError,
        );
      }
    }
  }
}, 30_000);

test('proves that every tree up to 130 leaves continues every smaller one', () => {
  const tree = treeOf(130);
  const roots = Array.from({ length: 131 }, (_, size) => rootAt(tree, size));
  for (let to = 0; to <= 130; to++) {
    for (let from = 0; from <= to; from++) {
      const proof = consistencyProof(tree, { from, to });
      verifyConsistency(proof, {
        from: { size: from, root: must(roots[from]) },
        to: { size: to, root: must(roots[to]) },
      });
      if (proof.length === 0) continue;
      const wrong = { size: from, root: must(roots[from - 1]) };
      expect(() =>
        verifyConsistency(proof, { from: wrong, to: { size: to, root: must(roots[to]) } }),
      ).toThrow(LedgerError);
    }
  }
}, 30_000);

test('proves leaves and growth of random larger trees', () => {
  const tree = treeOf(5000);
  fc.assert(
    fc.property(fc.nat(4998), fc.nat(4998), fc.nat(4998), (a, b, c) => {
      const [index = 0, from = 0, to = 0] = [a, b, c]
        .sort((x, y) => x - y)
        .map((n, at) => n + (at > 0 ? 1 : 0));
      const checkpoint = { size: to, root: rootAt(tree, to) };
      const old = { size: from, root: rootAt(tree, from) };
      const leaf = Buffer.from(`leaf ${index}`);
      verifyInclusion(inclusionProof(tree, { index, size: to }), { leaf, index, checkpoint });
      verifyConsistency(consistencyProof(tree, { from, to }), { from: old, to: checkpoint });
    }),
    { numRuns: 300 },
  );
});

test('refuses a proof in which any one bit, hash or number is another', () => {
  const tree = treeOf(200);
  const root = rootAt(tree, 200);
  fc.assert(
    fc.property(fc.nat(199), fc.nat(), fc.nat(255), (index, place, bit) => {
      const proof = inclusionProof(tree, { index, size: 200 });
      const claim = { leafHash: tree.hashAt(0, index), index, checkpoint: { size: 200, root } };
      const flipped = proof.map((hash) => Buffer.from(hash));
      const hash = must(flipped[place % flipped.length]);
      hash[bit >>> 3] = must(hash[bit >>> 3]) ^ (1 << (bit & 7));
      expect(() => verifyInclusion(flipped, claim)).toThrow(LedgerError);
      expect(() => verifyInclusion(proof.slice(1), claim)).toThrow(LedgerError);
      expect(() => verifyInclusion([...proof, root], claim)).toThrow(LedgerError);
    }),
    { numRuns: 200 },
  );
});

test('refuses a proof for a leaf beyond the tree', () => {
  const tree = treeOf(3);
  const checkpoint = { size: 2, root: rootAt(tree, 2) };
  const proof = inclusionProof(tree, { index: 1, size: 2 });
  verifyInclusion(proof, { leaf: Buffer.from('leaf 1'), index: 1, checkpoint });
  for (const index of [2, -1, 0.5, Number.NaN, 2 ** 53]) {
    const error = refusal(() =>
      verifyInclusion(proof, { leaf: Buffer.from('leaf 1'), index, checkpoint }),
    );
    expect(error.code).toBe('ERR_LEDGER_PROOF_INVALID');
  }
  expect(refusal(() => inclusionProof(tree, { index: 3, size: 3 })).code).toBe('ERR_LEDGER_RANGE');
  expect(refusal(() => inclusionProof(tree, { index: 0, size: 4 })).code).toBe('ERR_LEDGER_RANGE');
  expect(refusal(() => rootAt(tree, 4)).code).toBe('ERR_LEDGER_RANGE');
});

test('refuses a tree that shrank, a root of another length, and hashes where none belong', () => {
  const tree = treeOf(4);
  const head = (size: number) => ({ size, root: rootAt(tree, size) });
  const claims = [
    () => verifyConsistency([], { from: head(3), to: head(2) }),
    () => verifyConsistency([], { from: head(3), to: head(4) }),
    () => verifyConsistency([head(1).root], { from: head(0), to: head(4) }),
    () => verifyConsistency([head(1).root], { from: head(4), to: head(4) }),
    () => verifyConsistency([], { from: { size: 4, root: head(3).root }, to: head(4) }),
    () => verifyConsistency([], { from: head(4), to: { size: 4, root: Buffer.alloc(31) } }),
    () => verifyConsistency([], { from: { size: -1, root: head(0).root }, to: head(4) }),
  ];
  for (const claim of claims) expect(refusal(claim).code).toBe('ERR_LEDGER_PROOF_INVALID');
});

test('grows and proves beyond 2^32 leaves', () => {
  // A tree in which all leaves are alike: its perfect subtrees are one hash a level.
  const leaf = leafHash(Buffer.from('same'));
  const perfect = [leaf];
  for (let level = 1; level < 45; level++) {
    const below = must(perfect[level - 1]);
    perfect.push(nodeHash(below, below));
  }
  const size = 2 ** 40 + 2 ** 33 + 5;
  const source = { size, hashAt: (level: number) => must(perfect[level]) };
  const checkpoint = { size, root: rootAt(source, size) };
  for (const index of [0, 2 ** 32, 2 ** 40 - 1, 2 ** 40, size - 1]) {
    verifyInclusion(inclusionProof(source, { index, size }), { leafHash: leaf, index, checkpoint });
  }
  const from = 2 ** 36 + 2 ** 32 + 3;
  verifyConsistency(consistencyProof(source, { from, to: size }), {
    from: { size: from, root: rootAt(source, from) },
    to: checkpoint,
  });
  const levels = [0, 2, 33, 40].map((level) =>
    Buffer.from(must(perfect[level])).toString('latin1'),
  );
  const frontier = MerkleFrontier.from(size, levels);
  for (let at = 0; at < 4; at++) frontier.append(leaf);
  expect(frontier.size).toBe(size + 4);
  const grown = { size: size + 4, hashAt: source.hashAt };
  expect(hex(frontier.root())).toBe(hex(rootAt(grown, size + 4)));
});

test('refuses to rebuild a frontier whose hashes do not fit its size', () => {
  expect(refusal(() => MerkleFrontier.from(3, ['a'])).code).toBe('ERR_LEDGER_RANGE');
  expect(refusal(() => MerkleFrontier.from(-1, [])).code).toBe('ERR_LEDGER_RANGE');
});
