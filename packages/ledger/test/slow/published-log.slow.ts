import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeBundle,
  encodeBundle,
  formatLogProof,
  makeLogProof,
  nodeDisk,
  openCheckpoint,
  publishTiles,
  type TilesProblem,
  TileTree,
  tileFolder,
  verifyTiles,
} from '@countersign/ledger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildGoChecker, type GoReport, goMissing } from '../support/go-checker.ts';
import { entry, must, openSample, temporaryFolder, verifier, vkey } from '../support/sample-log.ts';

// Our published log before an implementation that is not ours: Go's golang.org/x/mod/sumdb, which runs the checksum database.

const SIZE = 70_000;
const OLDER = [1, 2, 255, 256, 257, 1000, 10_000, 65_535, 65_536, 65_537, 69_999];
const PROVEN = [0, 34_567, 69_887, 69_999];

const missing = await goMissing();
if (missing !== undefined) {
  console.warn(`the independent verification is skipped: ${missing}`);
  if (process.env['CI']) throw new Error(`could not verify independently: ${missing}`);
}

describe.skipIf(missing !== undefined)('a published log of 70,000 entries', () => {
  const { folder, remove } = temporaryFolder();
  const published = join(folder, 'published');
  const at = (size: number): string => join(folder, `checkpoint.${size}`);
  const older = [...OLDER, SIZE].flatMap((size) => ['-old', at(size)]);
  let check: (log: string, options: readonly string[]) => Promise<GoReport>;

  beforeAll(async () => {
    check = await buildGoChecker(folder);
    await writeAndPublish('log', published, [...OLDER, SIZE], entry);
    for (const size of [...OLDER, SIZE]) {
      cpSync(join(folder, `log.${size}`), at(size));
    }
  });

  afterAll(remove);

  /** Appends up to each size, and publishes there; keeps the checkpoints as `NAME.SIZE`. */
  async function writeAndPublish(
    name: string,
    target: string,
    sizes: readonly number[],
    entryAt: (index: number) => Buffer,
  ): Promise<void> {
    const disk = nodeDisk(join(folder, name));
    const log = await openSample(disk);
    for (const size of sizes) {
      while (log.nextIndex < size) {
        const end = Math.min(size, log.nextIndex + 5000);
        while (log.nextIndex < end) log.append(entryAt(log.nextIndex));
        await log.durable(end - 1);
      }
      // While its writer has it open.
      const outcome = await publishTiles(disk, tileFolder(target), { verifierKey: vkey });
      expect(outcome).toMatchObject({ kind: 'published', size });
      writeFileSync(join(folder, `${name}.${size}`), log.checkpoint());
    }
    await log.close();
  }

  test('passes: signature, every entry, inclusion, consistency from each older size, proof files', async () => {
    const checkpoint = readFileSync(at(SIZE), 'utf8');
    const head = openCheckpoint(checkpoint, [verifier]);
    const tree = await TileTree.open(tileFolder(published).read, head);
    const proofs: string[] = [];
    for (const index of PROVEN) {
      const hashes = await tree.inclusionProof(index);
      const file = writeProof(
        `${index}`,
        formatLogProof({ index, hashes, checkpoint }),
        entry(index),
      );
      proofs.push('-proof', file);
    }
    const made = await makeLogProof(nodeDisk(join(folder, 'log')), {
      index: 4711,
      verifiers: [verifier],
    });
    proofs.push('-proof', writeProof('made', formatLogProof(made.proof), made.leaf));
    expect(await check(published, [...older, ...proofs])).toEqual({
      origin: head.origin,
      size: SIZE,
      entries: SIZE,
      inclusions: Math.ceil(SIZE / 997),
      consistencies: OLDER.length + 1,
      proofs: PROVEN.length + 1,
      problems: [],
    });
    const wrong = writeProof('wrong', formatLogProof(made.proof), entry(4712));
    const forged = await check(published, ['-step', '70000', '-proof', wrong]);
    expect(forged.problems).toMatchObject([{ place: 'wrong.tlog-proof' }]);
  });

  function writeProof(name: string, text: string, leaf: Uint8Array): string {
    const file = join(folder, `${name}.tlog-proof`);
    writeFileSync(file, text);
    writeFileSync(`${file}.leaf`, leaf);
    return `${file}:${file}.leaf`;
  }

  /** What the Go program and our verifier say of a copy with one file changed. */
  async function judged(
    path: string,
    change: (bytes: Buffer) => Buffer,
  ): Promise<{ go: GoReport; ours: readonly TilesProblem[] }> {
    const file = join(published, path);
    const whole = readFileSync(file);
    writeFileSync(file, change(Buffer.from(whole)));
    try {
      return { go: await check(published, older), ours: await verified(published) };
    } finally {
      writeFileSync(file, whole);
    }
  }

  async function verified(target: string): Promise<readonly TilesProblem[]> {
    const atLeast = [...OLDER, SIZE].map((size) =>
      openCheckpoint(readFileSync(at(size), 'utf8'), [verifier]),
    );
    const report = await verifyTiles(tileFolder(target).read, { verifiers: [verifier], atLeast });
    return report.problems;
  }

  const flip = (offset: number) => (bytes: Buffer) => {
    bytes[offset] = must(bytes[offset]) ^ 0x10;
    return bytes;
  };
  const entries = (change: (entries: Buffer[]) => Buffer[]) => (bytes: Buffer) =>
    encodeBundle(change(decodeBundle(bytes).entries.map((each) => each.bytes)));

  test.each([
    ['an entry', 'tile/entries/130', flip(5), { code: 'entry', index: 33_280 }],
    ['the last bundle', 'tile/entries/273.p/112', flip(5), { code: 'entry', index: 69_888 }],
    ['a tile of leaves', 'tile/0/130', flip(3333), { code: 'tile', offset: 3333 }],
    ['the last tile of leaves', 'tile/0/273.p/112', flip(3), { code: 'tile', offset: 3 }],
    ['a full tile above', 'tile/1/000', flip(8191), { code: 'tile', offset: 8191 }],
    ['a tile at the edge', 'tile/1/001.p/17', flip(100), { code: 'tile', offset: 100 }],
    ['the top', 'tile/2/000.p/1', flip(31), { code: 'tile', offset: 31 }],
  ])('with a flipped bit in %s is found by both', async (_, path, change, expected) => {
    const { go, ours } = await judged(path, change);
    expect(go.problems.length).toBeGreaterThan(0);
    expect(ours[0]).toMatchObject({ path, ...expected });
    expect(ours.every((each) => each.path === path || each.code === 'unproven')).toBe(true);
  });

  test.each([
    ['dropped', (all: Buffer[]) => all.toSpliced(7, 1), 'found entry 33288'],
    ['inserted', (all: Buffer[]) => all.toSpliced(7, 0, Buffer.from('x')), 'found other bytes'],
    [
      'moved',
      (all: Buffer[]) => [...all.slice(0, 7), ...all.slice(7).reverse()],
      'found entry 33535',
    ],
  ])('with an entry %s is found by both', async (_, change, detail) => {
    const path = 'tile/entries/130';
    const { go, ours } = await judged(path, entries(change));
    expect(go.problems[0]).toEqual({ place: path, detail: "entry 33287 is not the tree's" });
    expect(ours[0]).toMatchObject({ code: 'entry', path, index: 33_287 });
    expect(must(ours[0]).detail).toContain(detail);
  });

  test('with a rolled-back checkpoint is found by both', async () => {
    const { go, ours } = await judged('checkpoint', () => readFileSync(at(65_536)));
    expect(go).toMatchObject({ size: 65_536, entries: 65_536 });
    expect(go.problems.map(({ detail }) => detail)).toEqual([
      'rolled back: 65536 entries after 65537 in checkpoint.65537',
      'rolled back: 65536 entries after 69999 in checkpoint.69999',
      'rolled back: 65536 entries after 70000 in checkpoint.70000',
    ]);
    expect(ours.map(({ code }) => code)).toEqual(['rollback', 'rollback', 'rollback']);
  });

  test('with a checkpoint that another key signed is found by both', async () => {
    const { go, ours } = await judged('checkpoint', (bytes) => flip(bytes.length - 20)(bytes));
    expect(go.problems).toMatchObject([{ place: 'checkpoint' }]);
    expect(ours).toMatchObject([{ code: 'checkpoint', path: 'checkpoint' }]);
  });

  test('that was forked under its own key is found by both, and was not published over it', async () => {
    const fork = join(folder, 'fork');
    mkdirSync(fork);
    const entryAt = (index: number) => (index < 40_000 ? entry(index) : Buffer.from(`o ${index}`));
    await writeAndPublish('forked', fork, [40_000, SIZE], entryAt);
    const outcome = await publishTiles(nodeDisk(join(folder, 'forked')), tileFolder(published), {
      verifierKey: vkey,
    });
    expect(outcome).toMatchObject({ kind: 'refused', code: 'fork', size: SIZE });
    const go = await check(fork, older);
    const parted = OLDER.filter((size) => size > 40_000).concat(SIZE);
    expect(go.entries).toBe(SIZE);
    expect(go.problems.map(({ detail }) => detail)).toEqual(
      parted.map((size) => expect.stringContaining(`history than checkpoint.${size} of ${size}`)),
    );
    const ours = await verified(fork);
    expect(ours.map(({ code, index }) => `${code} ${index}`)).toEqual(
      parted.map((size) => `fork ${size}`),
    );
    rmSync(fork, { recursive: true });
    expect(await verified(published)).toEqual([]);
  });
});
