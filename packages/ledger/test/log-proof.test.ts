import {
  formatLogProof,
  leafHash,
  makeLogProof,
  parseLogProof,
  parseVerifierKey,
  verifierKey,
  verifyLogProof,
} from '@countersign/ledger';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryDisk } from './support/memory-disk.ts';
import {
  appendCommits,
  entry,
  fixedKey,
  must,
  ORIGIN,
  openSample,
  verifier,
} from './support/sample-log.ts';

const verifiers = [verifier];

async function logOf(counts: readonly number[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await openSample(disk, { segmentBytesMax: 2_000 });
  await appendCommits(log, counts);
  await log.close();
  return disk;
}

test('every entry of a log of every size up to 40 is proven by a file that a stranger verifies', async () => {
  for (let size = 1; size <= 40; size++) {
    const disk = await logOf([size]);
    for (let index = 0; index < size; index++) {
      const { proof, leaf } = await makeLogProof(disk, { index, verifiers });
      const text = formatLogProof(proof);
      const read = parseLogProof(text);
      expect(formatLogProof(read)).toBe(text);
      expect(Buffer.from(leaf).equals(entry(index))).toBe(true);
      expect(verifyLogProof(read, { verifiers, leaf })).toMatchObject({ origin: ORIGIN, size });
      verifyLogProof(read, { verifiers, leafHash: leafHash(entry(index)) });
    }
  }
});

test('a file stands as the specification draws it', async () => {
  const disk = await logOf([3, 2]);
  const { proof } = await makeLogProof(disk, { index: 4, verifiers });
  const lines = formatLogProof({ ...proof, extra: Buffer.from('note') }).split('\n');
  expect(lines.slice(0, 3)).toEqual(['c2sp.org/tlog-proof@v1', 'extra bm90ZQ==', 'index 4']);
  expect(lines[3]).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  expect(lines.slice(4, 8)).toEqual(['', ORIGIN, '5', expect.stringMatching(/^.{43}=$/)]);
  expect(lines.slice(8, 9)).toEqual(['']);
  expect(lines[9]).toMatch(/^\u2014 /);
  expect(lines.slice(10)).toEqual(['']);
  const alone = await makeLogProof(await logOf([1]), { index: 0, verifiers });
  expect(formatLogProof(alone.proof)).toMatch(/^c2sp.org\/tlog-proof@v1\nindex 0\n\n/);
});

test('refuses other data, another place, another key, and any other file than the one that was made', async () => {
  const disk = await logOf([40]);
  const { proof, leaf } = await makeLogProof(disk, { index: 17, verifiers });
  const refusal = (code: string) => expect.objectContaining({ code });
  expect(() => verifyLogProof(proof, { verifiers, leaf: entry(18) })).toThrowError(
    refusal('ERR_LEDGER_PROOF_INVALID'),
  );
  expect(() => verifyLogProof({ ...proof, index: 16 }, { verifiers, leaf })).toThrowError(
    refusal('ERR_LEDGER_PROOF_INVALID'),
  );
  const stranger = parseVerifierKey(verifierKey(ORIGIN, fixedKey(7)));
  expect(() => verifyLogProof(proof, { verifiers: [stranger], leaf })).toThrowError(
    refusal('ERR_LEDGER_NOTE_UNVERIFIED'),
  );
  const text = formatLogProof(proof);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 126 }), (at, other) => {
      const changed = text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1);
      fc.pre(changed !== text);
      expect(() => verifyLogProof(parseLogProof(changed), { verifiers, leaf })).toThrowError(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_LEDGER_/) }),
      );
    }),
    { numRuns: 2_000 },
  );
});

test('says what is wrong with a file, and in which line', async () => {
  const { proof } = await makeLogProof(await logOf([4]), { index: 1, verifiers });
  const good = formatLogProof(proof);
  const lines = good.split('\n');
  const cases: [string, string][] = [
    ['', 'found no empty line before a checkpoint'],
    [good.replace('@v1', '@v2'), "found no first line 'c2sp.org/tlog-proof@v1'"],
    [
      good.replace('index 1', 'index 01'),
      "found no 'index' and a decimal of at most 2^53 - 1 in line 2",
    ],
    [good.replace('index 1', 'index 9007199254740992'), 'in line 2'],
    [
      good.replace('index 1', 'index 1\nextra aa'),
      'found no hash of 32 bytes in standard base64 in line 3',
    ],
    [
      good.replace('index 1', 'extra a\nindex 1'),
      'found no standard base64 in line 2, after extra',
    ],
    [good.replace(must(lines[3]), `${must(lines[3])} `), 'in line 4'],
    [good.replace(must(lines[3]), 'AAAA'), 'in line 4'],
    [good.replaceAll('\n', '\r\n'), 'found no empty line before a checkpoint'],
    [good.trimEnd(), 'found no signed checkpoint after the empty line'],
    [
      good.replace('index 1', `index 1${`\n${must(lines[2])}`.repeat(52)}`),
      'found 54 hashes, expected at most 53',
    ],
    [good + 'x'.repeat(2_000_000), 'characters, expected at most'],
  ];
  for (const [text, message] of cases) {
    expect(() => parseLogProof(text), message).toThrowError(
      expect.objectContaining({
        code: 'ERR_LEDGER_PROOF_MALFORMED',
        message: expect.stringContaining(message),
      }),
    );
  }
  for (const change of [
    { index: -1 },
    { index: 0.5 },
    { hashes: [Buffer.alloc(31)] },
    { checkpoint: '' },
  ]) {
    expect(() => formatLogProof({ ...proof, ...change })).toThrowError(
      expect.objectContaining({ code: 'ERR_LEDGER_PROOF_MALFORMED' }),
    );
  }
});

test('is made only of what a checkpoint covers, out of a log that is whole', async () => {
  const disk = await logOf([4, 4]);
  for (const index of [8, -1, 0.5]) {
    await expect(makeLogProof(disk, { index, verifiers })).rejects.toMatchObject({
      code: 'ERR_LEDGER_RANGE',
    });
  }
  const file = must(disk.files.get('00000000.log'));
  const at = file.indexOf(entry(2));
  file[at] = must(file[at]) ^ 1;
  await expect(makeLogProof(disk, { index: 7, verifiers })).rejects.toMatchObject({
    code: 'ERR_LEDGER_CORRUPT',
    location: { file: '00000000.log', offset: at - 6 },
  });
});
