import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { readEnteredCheckpoints } from '@countersign/audit';
import {
  ed25519NoteSigner,
  formatCheckpoint,
  nodeDisk,
  openLog,
  parseVerifierKey,
  signNote,
  verifierKey,
} from '@countersign/ledger';
import { expect, onTestFinished, test } from 'vitest';
import { NOW, temporaryFolder } from './support/points.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const OWN = 'bank.example/authority/checkpoints';

/** A log of checkpoints with these entries. */
async function logOf(entries: readonly string[]) {
  const { folder: root, remove } = temporaryFolder();
  onTestFinished(remove);
  const folder = join(root, 'log');
  const signer = ed25519NoteSigner({ name: OWN, privateKey });
  const log = await openLog({ origin: OWN, signer, disk: nodeDisk(folder), now: () => NOW });
  for (let at = 0; at < entries.length; at += 1000) {
    const indexes = entries.slice(at, at + 1000).map((entry) => log.append(Buffer.from(entry)));
    await log.durable(indexes.at(-1) ?? 0);
  }
  await log.close();
  return { folder, verifiers: [parseVerifierKey(verifierKey(OWN, privateKey))] };
}

const headOf = (origin: string, size: number) =>
  formatCheckpoint({ origin, size, root: Buffer.alloc(32, size % 251) });

test('holds at most 65,536 trees of a log, the largest and the last among them', async () => {
  const sizes = Array.from({ length: 65_536 }, (_, at) => at + 1);
  // After a restore the collected log is shorter than it was; both must be as they were entered.
  const all = [...sizes.slice(0, 40_000), 1_000_000, ...sizes.slice(40_000), 7];
  const { folder, verifiers } = await logOf(all.map((size) => `${headOf('bank/a', size)}\n`));
  const { heads, log } = await readEnteredCheckpoints(folder, {
    verifiers,
    verifiersOf: () => undefined,
  });
  expect(log).toMatchObject({ size: all.length, problems: [] });
  const held = (heads.get('bank/a') ?? []).map(({ size }) => size);
  expect(held.length).toBeLessThanOrEqual(65_536);
  expect(held.length).toBeGreaterThanOrEqual(32_768);
  expect(held.at(-1)).toBe(7);
  expect(Math.max(...held)).toBe(1_000_000);
});

test('names the first entry of each log that is no checkpoint, or that its key did not sign', async () => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const signed = async (origin: string, size: number) =>
    signNote(headOf(origin, size), ed25519NoteSigner({ name: origin, privateKey: key }));
  const forged = (await signed('bank/a', 2)).replace('\n2\n', '\n3\n');
  const { folder, verifiers } = await logOf([
    await signed('bank/a', 1),
    forged,
    forged.replace('\n3\n', '\n4\n'),
    'no checkpoint',
    await signed('bank/b', 1),
  ]);
  const known = [parseVerifierKey(verifierKey('bank/a', key))];
  const { heads, problems } = await readEnteredCheckpoints(folder, {
    verifiers,
    verifiersOf: (origin) => (origin === 'bank/a' ? known : undefined),
  });
  expect(problems).toMatchObject([
    { index: 1, detail: expect.stringContaining("found a wrong signature of 'bank/a'") },
    { index: 3, detail: expect.stringContaining('could not read checkpoint') },
  ]);
  // Held against its log all the same; of a log that is not at hand, nobody can tell who signed.
  expect(heads.get('bank/a')?.map(({ size }) => size)).toEqual([1, 3, 4]);
  expect(heads.get('bank/b')?.map(({ size }) => size)).toEqual([1]);
});
