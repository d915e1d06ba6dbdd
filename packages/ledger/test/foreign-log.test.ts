import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  openCheckpoint,
  parseVerifierKey,
  TileTree,
  tileFolder,
  verifyConsistency,
  verifyInclusion,
  verifyTiles,
} from '@countersign/ledger';
import { expect, test } from 'vitest';

const FOLDER = join(import.meta.dirname, 'vectors', 'tessera-log');
const WORDS = 'one two three four five six seven eit nain ten ileven twelf threeten fourten fivten';
const words = WORDS.split(' ');
const verifiers = [parseVerifierKey(readFileSync(join(FOLDER, 'vkey'), 'utf8'))];
const { read } = tileFolder(FOLDER);
const heads = Array.from({ length: 16 }, (_, size) => {
  const note = readFileSync(join(FOLDER, `checkpoint.${size}`), 'utf8');
  return openCheckpoint(note, verifiers);
});

test('a log that Tessera wrote verifies, entry by entry, from each of its checkpoints', async () => {
  const seen: string[] = [];
  const report = await verifyTiles(read, {
    verifiers,
    atLeast: heads,
    onEntry: ({ index, bytes }) => seen.push(`${index} ${Buffer.from(bytes)}`),
  });
  expect(report).toMatchObject({
    origin: 'example.com/log/testdata',
    size: 15,
    entries: 15,
    problems: [],
    problemsOmitted: 0,
  });
  expect(seen).toEqual(words.map((word, index) => `${index} ${word}`));
});

test('every inclusion and consistency proof out of its tiles holds', async () => {
  for (const head of heads) {
    const tree = await TileTree.open(read, head);
    for (let index = 0; index < head.size; index++) {
      const leaf = Buffer.from(words[index] ?? '');
      verifyInclusion(await tree.inclusionProof(index), { leaf, index, checkpoint: head });
      expect(Buffer.from(await tree.entry(index))).toEqual(leaf);
    }
    for (const from of heads.slice(0, head.size + 1)) {
      verifyConsistency(await tree.consistencyProof(from.size), { from, to: head });
    }
  }
});

test('each of its older checkpoints verifies as a log of its own', async () => {
  for (const { size } of heads) {
    const report = await verifyTiles(
      (path) => read(path).then((bytes) => (path === 'checkpoint' ? noteOf(size) : bytes)),
      { verifiers, atLeast: heads.slice(0, size + 1) },
    );
    expect(report).toMatchObject({ size, entries: size, problems: [] });
  }
});

function noteOf(size: number): Uint8Array {
  return readFileSync(join(FOLDER, `checkpoint.${size}`));
}
