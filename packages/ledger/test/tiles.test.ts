import {
  bundlePath,
  consistencyProof,
  decodeBundle,
  encodeBundle,
  inclusionProof,
  MerkleTree,
  rootAt,
  TileTree,
  tilePath,
} from '@countersign/ledger';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectedFiles, treeOf } from './support/expected-tiles.ts';
import { must } from './support/sample-log.ts';

describe('paths of tiles', () => {
  test('are those of the specification', () => {
    expect(tilePath(0, 1_234_067)).toBe('tile/0/x001/x234/067');
    expect(tilePath(0, 5)).toBe('tile/0/005');
    expect(tilePath(3, 1000, { width: 7 })).toBe('tile/3/x001/000.p/7');
    expect(bundlePath(999)).toBe('tile/entries/999');
    expect(bundlePath(1000, { width: 255 })).toBe('tile/entries/x001/000.p/255');
  });

  test('are refused for what no tile has', () => {
    for (const make of [
      () => tilePath(-1, 0),
      () => tilePath(7, 0),
      () => tilePath(0, -1),
      () => tilePath(0, 2 ** 53),
      () => tilePath(0, 0.5),
      () => tilePath(0, 0, { width: 0 }),
      () => bundlePath(0, { width: 257 }),
    ]) {
      expect(make).toThrowError(expect.objectContaining({ code: 'ERR_LEDGER_RANGE' }));
    }
    expect(tilePath(6, 0, { width: 256 })).toBe('tile/6/000');
    expect(tilePath(0, 2 ** 53 - 1)).toBe('tile/0/x009/x007/x199/x254/x740/991');
  });
});

describe('entry bundles', () => {
  test('give back any entries of up to 65535 bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 }), (entries) => {
        const bytes = encodeBundle(entries);
        const decoded = decodeBundle(bytes);
        expect(decoded.end).toBe(bytes.length);
        expect(decoded.entries.map((each) => [...each.bytes])).toEqual(
          entries.map((each) => [...each]),
        );
      }),
    );
    const longest = encodeBundle([Buffer.alloc(65_535, 7)]);
    expect(longest.subarray(0, 2).toString('hex')).toBe('ffff');
    expect(decodeBundle(longest).entries[0]?.bytes).toHaveLength(65_535);
  });

  test('say where the last whole entry ends', () => {
    const bytes = encodeBundle([Buffer.from('first'), Buffer.from('second')]);
    for (let end = 0; end < bytes.length; end++) {
      const decoded = decodeBundle(bytes.subarray(0, end));
      expect(decoded.end).toBe(end < 7 ? 0 : 7);
      expect(decoded.entries).toHaveLength(end < 7 ? 0 : 1);
    }
  });
});

describe('a tree of tiles', () => {
  const tree = treeOf(70_000);
  const files = expectedFiles(tree, 70_000);
  const fetchTile = async (path: string) => files.get(path);

  test('has the tiles that the specification counts for 70,000 entries', () => {
    const hashes = [...files.keys()].filter((path) => /^tile\/\d/.test(path));
    expect(hashes.filter((path) => /^tile\/0\/\d{3}$/.test(path))).toHaveLength(273);
    expect(hashes.filter((path) => !/^tile\/0\/\d{3}$/.test(path)).sort()).toEqual([
      'tile/0/273.p/112',
      'tile/1/000',
      'tile/1/001.p/17',
      'tile/2/000.p/1',
    ]);
  });

  test('gives the same proofs and roots as the whole tree in memory', async () => {
    const tiles = await TileTree.open(fetchTile, head(tree, 70_000));
    const size = fc.integer({ min: 1, max: 70_000 });
    await fc.assert(
      fc.asyncProperty(size, size, async (one, other) => {
        const [from, to] = one < other ? [one, other] : [other, one];
        const index = from - 1;
        expect(await tiles.inclusionProof(index, { size: to })).toEqual(
          inclusionProof(tree, { index, size: to }).map(asBuffer),
        );
        expect(await tiles.consistencyProof(from, { to })).toEqual(
          consistencyProof(tree, { from, to }).map(asBuffer),
        );
        expect(asBuffer(await tiles.rootAt(from))).toEqual(asBuffer(rootAt(tree, from)));
      }),
      { numRuns: 60 },
    );
  });

  test('reads an entry only as the tree has it', async () => {
    const tiles = await TileTree.open(fetchTile, head(tree, 70_000));
    for (const index of [0, 255, 256, 69_887, 69_888, 69_999]) {
      expect(`${await tiles.entry(index)}`).toBe(`entry ${index}`);
    }
    await expect(tiles.entry(70_000)).rejects.toMatchObject({ code: 'ERR_LEDGER_RANGE' });
    const changed = new Map(files);
    const bundle = Buffer.from(must(files.get('tile/entries/001')));
    bundle[4] = must(bundle[4]) ^ 1;
    changed.set('tile/entries/001', bundle);
    const altered = await TileTree.open(async (path) => changed.get(path), head(tree, 70_000));
    await expect(altered.entry(256)).rejects.toMatchObject({
      code: 'ERR_LEDGER_CORRUPT',
      location: { file: 'tile/entries/001', offset: 0 },
    });
    expect(`${await altered.entry(257)}`).toBe('entry 257');
  });

  test('refuses every tile that is not the tree’s, and names it', async () => {
    for (const path of ['tile/0/000', 'tile/1/000', 'tile/0/273.p/112', 'tile/2/000.p/1']) {
      const tile = must(files.get(path));
      const flipped = Buffer.from(tile);
      flipped[31] = must(flipped[31]) ^ 0x80;
      for (const bytes of [undefined, flipped, tile.subarray(1), Buffer.alloc(0)]) {
        const open = async () => {
          const tiles = await TileTree.open(
            async (asked) => (asked === path ? bytes : files.get(asked)),
            head(tree, 70_000),
          );
          await tiles.inclusionProof(0);
        };
        await expect(open(), `${path} of ${bytes?.length}`).rejects.toMatchObject({
          code: 'ERR_LEDGER_CORRUPT',
          message: expect.stringContaining(path),
        });
      }
    }
  });

  test('takes a full tile or bundle where the partial one was removed', async () => {
    const left = expectedFiles(tree, 512);
    left.set('tile/1/000.p/1', must(expectedFiles(tree, 300).get('tile/1/000.p/1')));
    const tiles = await TileTree.open(async (path) => left.get(path), head(tree, 300));
    expect(asBuffer(await tiles.rootAt(300))).toEqual(asBuffer(rootAt(tree, 300)));
    expect(`${await tiles.entry(299)}`).toBe('entry 299');
  });

  test('of no entries needs no tiles', async () => {
    const tiles = await TileTree.open(async () => undefined, head(new MerkleTree(), 0));
    expect(await tiles.consistencyProof(0)).toEqual([]);
  });
});

function head(tree: MerkleTree, size: number): { size: number; root: Uint8Array } {
  return { size, root: rootAt(tree, size) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}
