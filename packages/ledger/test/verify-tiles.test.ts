import {
  bundlePath,
  decodeBundle,
  encodeBundle,
  formatCheckpoint,
  leafHash,
  MerkleTree,
  rootAt,
  signNote,
  type TilesReport,
  tilePath,
  type VerifyTilesOptions,
  verifyTiles,
} from '@countersign/ledger';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectedFiles, treeOf } from './support/expected-tiles.ts';
import { must, ORIGIN, signer, verifier } from './support/sample-log.ts';

const verifiers = [verifier];
const tree = treeOf(66_000);

async function publishedLog(size: number, of = tree, word = 'entry'): Promise<Map<string, Buffer>> {
  const files = expectedFiles(of, size, (index) => Buffer.from(`${word} ${index}`));
  const text = formatCheckpoint({ origin: ORIGIN, size, root: rootAt(of, size) });
  return files.set('checkpoint', Buffer.from(await signNote(text, signer)));
}

function verify(
  files: ReadonlyMap<string, Uint8Array>,
  options: Partial<VerifyTilesOptions> = {},
): Promise<TilesReport> {
  return verifyTiles(async (path) => files.get(path), { verifiers, ...options });
}

/** A copy of a published log with one resource changed or, for nothing, removed. */
function changed(
  files: ReadonlyMap<string, Buffer>,
  path: string,
  change: (bytes: Buffer) => Buffer | undefined,
): Map<string, Buffer> {
  const copy = new Map(files);
  const bytes = change(Buffer.from(must(files.get(path), path)));
  if (bytes === undefined) copy.delete(path);
  else copy.set(path, bytes);
  return copy;
}

function flip(bytes: Buffer, offset: number): Buffer {
  bytes[offset] = must(bytes[offset]) ^ (1 << (offset % 8));
  return bytes;
}

/** The same bundle with its entries changed as a list. */
function rebundled(bytes: Buffer, change: (entries: Buffer[]) => Buffer[]): Buffer {
  return encodeBundle(change(decodeBundle(bytes).entries.map((each) => each.bytes)));
}

const [small, large] = await Promise.all([publishedLog(600), publishedLog(66_000)]);

describe('verifying published tiles', () => {
  test('finds nothing wrong with a log of any size, and proves every entry in order', async () => {
    for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000]) {
      let next = 0;
      const told: number[] = [];
      const report = await verify(await publishedLog(size), {
        atLeast: [0, 1, 256, size].filter((each) => each <= size).map(headOf),
        onEntry: ({ index, bytes }) => {
          expect(index).toBe(next++);
          if (index % 97 === 0) expect(`${bytes}`).toBe(`entry ${index}`);
        },
        onProgress: (entries) => told.push(entries),
      });
      expect(report).toMatchObject({ origin: ORIGIN, size, entries: size, problems: [] });
      expect(Buffer.compare(report.root, rootAt(tree, size))).toBe(0);
      expect(next).toBe(size);
      if (size > 0) expect(told.at(-1)).toBe(size);
    }
  }, 30_000);

  test('names the tile and the byte of a flipped bit, and nothing else', async () => {
    for (const path of [...small.keys()].filter((each) => /^tile\/\d/.test(each))) {
      const { length } = must(small.get(path));
      // Each place in a hash and each bit of a byte in turn, over the whole length.
      for (let offset = 0; offset < length; offset += length === 8192 ? 61 : 13) {
        const { problems } = await verify(changed(small, path, (bytes) => flip(bytes, offset)));
        expect(problems, `${path} at ${offset}`).toMatchObject([{ code: 'tile', path, offset }]);
      }
    }
  }, 60_000);

  test('names the bundle and the entry of a flipped bit', async () => {
    for (const path of [...small.keys()].filter((each) => each.startsWith('tile/entries'))) {
      const { entries } = decodeBundle(must(small.get(path)));
      const firstIndex = path.includes('002') ? 512 : path.includes('001') ? 256 : 0;
      // Every third, the first and the last included.
      for (const [at, entry] of entries.entries()) {
        if (at % 3 > 0 && at < entries.length - 1) continue;
        const index = firstIndex + at;
        const place = { path, offset: entry.offset, index };
        // In the bytes of the entry: only it is at fault.
        const inEntry = await verify(
          changed(small, path, (bytes) => flip(bytes, entry.offset + 2 + (at % 5))),
        );
        const detail = `found other bytes at the place of entry ${index}`;
        expect(inEntry.problems).toEqual([{ code: 'entry', ...place, detail }]);
        expect(inEntry.entries).toBe(599);
        // In its length: what follows cannot be told apart any more, and the report begins there.
        const inLength = await verify(
          changed(small, path, (bytes) => flip(bytes, entry.offset + (at % 2))),
        );
        const [first] = inLength.problems;
        expect(first, `length of ${index}`).toMatchObject({ path, offset: entry.offset, index });
      }
    }
  }, 60_000);

  test('names an entry that was dropped, inserted, moved, or exchanged for another', async () => {
    const path = 'tile/entries/001';
    const cases: [string, (entries: Buffer[]) => Buffer[], object[]][] = [
      [
        'dropped',
        (entries) => entries.toSpliced(10, 1),
        [
          { code: 'entry', index: 266, detail: 'found entry 267 at the place of entry 266' },
          { code: 'bundle', index: 511 },
        ],
      ],
      [
        'inserted',
        (entries) => entries.toSpliced(10, 0, Buffer.from('new')),
        [
          { code: 'entry', index: 266, detail: 'found other bytes at the place of entry 266' },
          { code: 'entry', index: 267, detail: 'found entry 266 at the place of entry 267' },
          { code: 'bundle' },
        ],
      ],
      [
        'reordered',
        (entries) => entries.with(10, must(entries[20])).with(20, must(entries[10])),
        [
          { code: 'entry', index: 266, detail: 'found entry 276 at the place of entry 266' },
          { code: 'entry', index: 276, detail: 'found entry 266 at the place of entry 276' },
        ],
      ],
      [
        'doubled',
        (entries) => entries.with(10, must(entries[11])),
        [{ code: 'entry', index: 266, detail: 'found entry 267 at the place of entry 266' }],
      ],
      ['the last dropped', (entries) => entries.slice(0, -1), [{ code: 'bundle', index: 511 }]],
      ['one added', (entries) => [...entries, Buffer.from('new')], [{ code: 'bundle' }]],
      [
        'an empty one',
        (entries) => entries.with(0, Buffer.alloc(0)),
        [{ code: 'entry', index: 256, offset: 0 }],
      ],
    ];
    for (const [name, change, expected] of cases) {
      const { problems, entries } = await verify(
        changed(small, path, (bytes) => rebundled(bytes, change)),
      );
      expect(problems, name).toMatchObject(expected.map((each) => ({ path, ...each })));
      expect(problems, name).toHaveLength(expected.length);
      expect(entries, name).toBeGreaterThanOrEqual(600 - 256);
    }
  });

  test('names each resource that is missing, cut or too long', async () => {
    for (const path of small.keys()) {
      for (const change of [
        () => undefined,
        (bytes: Buffer) => bytes.subarray(0, -1),
        (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(7)]),
        () => Buffer.alloc(0),
      ]) {
        const { problems } = await verify(changed(small, path, change));
        expect(problems.length, path).toBeGreaterThan(0);
        expect(new Set(problems.map((each) => each.path)), path).toEqual(new Set([path]));
      }
    }
  });

  test('does not suspect what is under a damaged tile, nor what is beside it', async () => {
    for (const [path, offset] of [
      ['tile/1/000', 100 * 32 + 5],
      ['tile/2/000.p/1', 31],
      ['tile/1/001.p/1', 0],
      ['tile/0/257.p/208', 77],
      ['tile/0/100', 3000],
    ] as const) {
      const { problems } = await verify(changed(large, path, (bytes) => flip(bytes, offset)));
      expect(problems, path).toMatchObject([{ code: 'tile', path, offset }]);
    }
  }, 30_000);

  test('finds a tile that was forged together with its entries', async () => {
    const forged = changed(small, 'tile/entries/001', (bytes) =>
      rebundled(bytes, (entries) => entries.with(3, Buffer.from('forged'))),
    );
    const both = changed(forged, 'tile/0/001', (bytes) => {
      bytes.set(leafHash(Buffer.from('forged')), 3 * 32);
      return bytes;
    });
    const { problems } = await verify(both);
    expect(problems).toMatchObject([{ code: 'tile', path: 'tile/0/001', offset: 0, index: 256 }]);
  });

  test('finds a history that was rewritten under the old checkpoint', async () => {
    const other = new MerkleTree();
    for (let index = 0; index < 600; index++) other.append(Buffer.from(`other ${index}`));
    const rewritten = await publishedLog(600, other, 'other');
    rewritten.set('checkpoint', must(small.get('checkpoint')));
    const report = await verify(rewritten);
    expect(report.problems[0]).toMatchObject({ code: 'checkpoint', path: 'checkpoint' });
    expect(report.entries).toBe(0);
  });

  test('finds a checkpoint that no given key signed, and none at all', async () => {
    const unsigned = changed(small, 'checkpoint', (bytes) => flip(bytes, bytes.length - 8));
    for (const files of [unsigned, changed(small, 'checkpoint', () => undefined)]) {
      expect(await verify(files)).toMatchObject({
        origin: '',
        size: 0,
        entries: 0,
        checkpoint: '',
        problems: [{ code: 'checkpoint', path: 'checkpoint', offset: 0 }],
      });
    }
    await expect(verify(small, { verifiers: [] })).rejects.toMatchObject({
      code: 'ERR_LEDGER_OPTION',
    });
  });

  test('finds a rolled-back checkpoint and a forked history by checkpoints seen before', async () => {
    const report = await verify(small, {
      atLeast: [
        headOf(599),
        headOf(600),
        headOf(601),
        { size: 300, root: leafHash(Buffer.from('x')) },
      ],
    });
    expect(report.problems).toMatchObject([
      { code: 'rollback', index: 600, detail: 'found 600 entries, expected at least 601' },
      { code: 'fork', index: 300 },
    ]);
    // Other entries from 300 on, signed by the log's own key: nothing is wrong with it alone.
    const fork = treeOf(300);
    for (let index = 300; index < 700; index++) fork.append(Buffer.from(`other ${index}`));
    const text = formatCheckpoint({ origin: ORIGIN, size: 700, root: rootAt(fork, 700) });
    const files = expectedFiles(fork, 700, (index) =>
      Buffer.from(`${index < 300 ? 'entry' : 'other'} ${index}`),
    ).set('checkpoint', Buffer.from(await signNote(text, signer)));
    expect((await verify(files)).problems).toEqual([]);
    expect((await verify(files, { atLeast: [headOf(300), headOf(600)] })).problems).toMatchObject([
      { code: 'fork', index: 600 },
    ]);
  });

  test('proves no entry that is not the log’s, whatever is damaged', async () => {
    const paths = [...small.keys()];
    const damage = fc.record({ path: fc.constantFrom(...paths), at: fc.nat(), bit: fc.nat(7) });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 6 }), async (damages) => {
        const files = new Map(small);
        for (const { path, at, bit } of damages) {
          const bytes = Buffer.from(must(files.get(path)));
          const offset = at % bytes.length;
          bytes[offset] = must(bytes[offset]) ^ (1 << bit);
          files.set(path, bytes);
        }
        const isSame = paths.every((path) => files.get(path)?.equals(must(small.get(path))));
        let next = 0;
        const { problems } = await verify(files, {
          onEntry: ({ index, bytes }) => {
            expect(index).toBeGreaterThanOrEqual(next);
            next = index + 1;
            expect(`${bytes}`).toBe(`entry ${index}`);
          },
        });
        expect(problems.length > 0).toBe(!isSame);
        expect(problems.every(({ path }) => path === 'checkpoint' || files.has(path))).toBe(true);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  test('ends where there is next to nothing of a log that says to be as long as can be', async () => {
    const size = Number.MAX_SAFE_INTEGER;
    const text = formatCheckpoint({ origin: ORIGIN, size, root: leafHash(Buffer.from('x')) });
    const note = Buffer.from(await signNote(text, signer));
    let asked = 0;
    const report = await verifyTiles(
      async (path) => {
        asked++;
        return path === 'checkpoint' ? note : undefined;
      },
      { verifiers },
    );
    expect(asked).toBeLessThan(20_000);
    expect(report).toMatchObject({ size, entries: 0 });
    expect(report.problems).toHaveLength(1000);
    expect(report.problemsOmitted).toBeGreaterThan(3000);
  });

  test('keeps as many problems as asked for and counts the rest', async () => {
    let files = small;
    for (const [index, width] of [
      [0, 256],
      [1, 256],
      [2, 88],
    ] as const) {
      files = changed(files, bundlePath(index, { width }), (bytes) => flip(bytes, 3));
      files = changed(files, tilePath(0, index, { width }), (bytes) =>
        flip(bytes, 3200 % (width * 32)),
      );
    }
    const all = await verify(files);
    expect(all.problems.length).toBeGreaterThan(2);
    const few = await verify(files, { problemsMax: 2 });
    expect(few.problems).toEqual(all.problems.slice(0, 2));
    expect(few.problemsOmitted).toBe(all.problems.length - 2);
  });
});

function headOf(size: number): { size: number; root: Uint8Array } {
  return { size, root: rootAt(tree, size) };
}
