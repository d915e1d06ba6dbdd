import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCheckpointLog } from '@countersign/audit';
import {
  ed25519NoteSigner,
  type Log,
  type LogDisk,
  nodeDisk,
  openLog,
  parseVerifierKey,
  verifiedEntries,
  verifierKey,
} from '@countersign/ledger';
import { afterEach, expect, test } from 'vitest';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

const { privateKey } = generateKeyPairSync('ed25519');
const now = () => 1_760_000_000_000;

async function open(origin: string, wrap = (disk: LogDisk): LogDisk => disk) {
  const folder = await mkdtemp(join(tmpdir(), 'cs-audit-'));
  folders.push(folder);
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const disk = nodeDisk(folder);
  return { disk, log: await openLog({ origin, signer, disk: wrap(disk), now }) };
}

async function grow(log: Log): Promise<void> {
  await log.durable(log.append(Buffer.from('an event')));
}

test('enters each checkpoint that changed, byte for byte, and no other', async () => {
  const [a, b, own] = [await open('bank/a'), await open('bank/b'), await open('bank/checkpoints')];
  const seen: string[] = [];
  const checkpoints = createCheckpointLog({
    log: own.log,
    checkpoints: async () =>
      [a.log, b.log].filter(({ size }) => size > 0).map((log) => log.checkpoint()),
    onCheckpoint: (note) => void seen.push(note),
    onFailure: (error) => {
      throw error;
    },
    everyMs: 2 ** 30,
  });
  await checkpoints.enter();
  expect(checkpoints.size).toBe(0);
  const expected: string[] = [];
  for (const growing of [[a.log], [a.log, b.log], [], [b.log]]) {
    for (const log of growing) await grow(log);
    expected.push(...growing.map((log) => log.checkpoint()));
    await Promise.all([checkpoints.enter(), checkpoints.enter()]);
  }
  // One commit for all that changed together.
  expect(seen.map((note) => note.split('\n')[1])).toEqual(['1', '3', '4']);
  expect(seen.at(-1)).toBe(checkpoints.checkpoint());
  await checkpoints.close();
  const verifiers = [parseVerifierKey(verifierKey('bank/checkpoints', privateKey))];
  const entries: string[] = [];
  for await (const { bytes } of verifiedEntries(own.disk, { verifiers })) {
    entries.push(Buffer.from(bytes).toString());
  }
  expect(entries).toEqual(expected);
  await a.log.close();
  await b.log.close();
});

test('tells once that its disk failed, and harms nobody', async () => {
  const a = await open('bank/a');
  await grow(a.log);
  let isBroken = false;
  const own = await open('bank/checkpoints', (disk) => ({
    ...disk,
    async openAppend(name) {
      const file = await disk.openAppend(name);
      return { ...file, sync: () => (isBroken ? Promise.reject(new Error('EIO')) : file.sync()) };
    },
  }));
  const failures: unknown[] = [];
  const checkpoints = createCheckpointLog({
    log: own.log,
    checkpoints: async () => [a.log.checkpoint()],
    onCheckpoint: expect.unreachable,
    onFailure: (error) => void failures.push(error),
    everyMs: 2 ** 30,
  });
  isBroken = true;
  for (let time = 0; time < 3; time++) await checkpoints.enter();
  expect(failures).toMatchObject([{ code: 'ERR_LEDGER_FAILED' }]);
  await grow(a.log);
  await expect(checkpoints.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_FAILED' });
  await a.log.close();
});

test('enters by itself, about every second', async () => {
  const [a, own] = [await open('bank/a'), await open('bank/checkpoints')];
  await grow(a.log);
  const entered = Promise.withResolvers<string>();
  const checkpoints = createCheckpointLog({
    log: own.log,
    checkpoints: async () => [a.log.checkpoint()],
    onCheckpoint: entered.resolve,
    onFailure: (error) => {
      throw error;
    },
    everyMs: 5,
  });
  expect(await entered.promise).toContain('bank/checkpoints\n1\n');
  await checkpoints.close();
  await a.log.close();
});
