import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createLogPusher, openCollector, verifyRecord } from '@countersign/audit';
import { expect, test } from 'vitest';
import {
  appendEvents,
  decision,
  gateway,
  NOW,
  outcome,
  points,
  temporaryFolder,
} from './support/points.ts';

const CHILD = join(import.meta.dirname, 'support', 'collecting-child.ts');
const ROUNDS = 3;

test('a collector killed at any time has what it acknowledged, and the pusher goes on', async () => {
  const { folder, remove } = temporaryFolder();
  const mirrors = join(folder, 'logs');
  const log = await gateway.open(join(folder, 'gateway'));
  let child: ChildProcess | undefined;
  let acknowledged = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const running = spawn(
        process.execPath,
        ['--conditions=@countersign/source', CHILD, mirrors],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      child = running;
      // It is killed while something is written to it.
      running.stdin.on('error', () => undefined);
      const answers = createInterface({ input: running.stdout })[Symbol.asyncIterator]();
      let taken = 0;
      const enough = Promise.withResolvers<void>();
      const pusher = createLogPusher({
        log,
        name: 'gateway',
        now: () => NOW,
        post: async (_path, body) => {
          running.stdin.write(`${Buffer.from(body).toString('base64')}\n`);
          const { value, done } = await answers.next();
          if (done) throw new Error('the collector is gone');
          const answer = JSON.parse(value) as { kind: string; size: number };
          if (answer.kind === 'taken') acknowledged = answer.size;
          // Killed while more is on its way: at another place in each round.
          if (answer.kind === 'taken' && ++taken > 5 + round * 3) enough.resolve();
          return { status: answer.kind === 'taken' ? 200 : 409, json: answer };
        },
      });
      let isEnough = false;
      void enough.promise.then(() => {
        isEnough = true;
      });
      while (!isEnough) {
        const id = `r${round}-${log.nextIndex}`;
        await appendEvents(log, [decision(id), outcome(id)]);
      }
      running.kill('SIGKILL');
      await once(running, 'exit');
      await pusher.close();
      const report = await verifyRecord(join(mirrors, 'gateway'), {
        verifiers: [gateway.verifier],
      });
      expect(report.log.size).toBeGreaterThanOrEqual(acknowledged);
      expect(report.log.problems.filter((each) => each.code !== 'torn')).toEqual([]);
    }
    expect(acknowledged).toBeGreaterThan(10);
    const collector = await openCollector({
      folder: mirrors,
      points,
      now: () => NOW,
      onEvents: () => undefined,
      onAlarm: () => undefined,
    });
    expect(await collector.size('gateway')).toBeGreaterThanOrEqual(acknowledged);
    await collector.close();
  } finally {
    child?.kill('SIGKILL');
    await log.close();
    remove();
  }
}, 60_000);
