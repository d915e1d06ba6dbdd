import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  nodeDisk,
  openCheckpoint,
  publishTiles,
  tileFolder,
  verifyTiles,
} from '@countersign/ledger';
import { expect, test } from 'vitest';
import { entry, openSample, temporaryFolder, verifier, vkey } from '../support/sample-log.ts';

const CHILD = join(import.meta.dirname, '..', 'support', 'publishing-child.ts');
const SIZE = 30_000;
const ROUNDS = 12;
// A fixed sequence of waits after the process has begun, in ms; it is the order of work that differs, not the outcome.
const WAITS = [0, 3, 10, 25, 60, 120];

test('a publisher killed at any time leaves a log that is whole under its checkpoint, and the next goes on', async () => {
  const { folder, remove } = temporaryFolder();
  const [source, target] = [join(folder, 'log'), join(folder, 'published')];
  try {
    const log = await openSample(nodeDisk(source), { segmentBytesMax: 40_000 });
    while (log.nextIndex < SIZE) {
      for (let at = 0; at < 500; at++) log.append(entry(log.nextIndex));
      await log.durable(log.nextIndex - 1);
    }
    await log.close();
    let published = 0;
    let killed = 0;
    for (let round = 0; round < ROUNDS && published < SIZE; round++) {
      const words = ['--conditions=@countersign/source', CHILD, source, target];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
      let told = published;
      child.stdout.on('data', (text) => {
        told = Math.max(told, ...`${text}`.split('\n').map(Number).filter(Number.isFinite));
      });
      await once(child.stdout, 'data');
      await sleep(WAITS[round % WAITS.length] ?? 0);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      if (child.signalCode === 'SIGKILL') killed++;
      if (!existsSync(join(target, 'checkpoint'))) continue;
      const report = await verifyTiles(tileFolder(target).read, { verifiers: [verifier] });
      expect(report.problems).toEqual([]);
      expect(report.entries).toBe(report.size);
      // What it told of is published, and never less than before.
      expect(report.size).toBeGreaterThanOrEqual(told);
      published = report.size;
    }
    expect(killed).toBeGreaterThan(2);
    await publishTiles(nodeDisk(source), tileFolder(target), { verifierKey: vkey });
    const report = await verifyTiles(tileFolder(target).read, { verifiers: [verifier] });
    expect(report).toMatchObject({ size: SIZE, entries: SIZE, problems: [] });
    const note = readFileSync(join(target, 'checkpoint'), 'utf8');
    expect(openCheckpoint(note, [verifier]).size).toBe(SIZE);
  } finally {
    remove();
  }
});
