import { createPrivateKey } from 'node:crypto';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { appendToLog, exchange } from './records.ts';
import { countersign, type Ran } from './test-io.ts';

async function until(ask: () => Promise<Ran>, isWanted: (ran: Ran) => boolean): Promise<Ran> {
  for (;;) {
    const ran = await ask();
    if (isWanted(ran)) return ran;
    await sleep(50);
  }
}

test('a point that goes on from an older copy of its log is told by status, and no answer is complete', {
  timeout: 60_000,
}, async () => {
  await using bank = await startAuthorityAndEdge();
  const { data, edgeData } = bank;
  const log = join(edgeData, 'points/edge/log');
  const old = join(edgeData, 'old');
  const status = () => countersign(['status', '-d', data]);
  const collected = ({ out }: Ran) => Number(/ log (\d+) entries/.exec(out)?.[1] ?? 0);
  // What the gateway decided; it writes nothing of itself within the first minute.
  const decide = async (id: string): Promise<void> => {
    const key = await readFile(join(edgeData, 'points/edge/keys/log.pem'), 'utf8');
    await appendToLog(log, exchange(id, Date.now()), {
      origin: 'bank.example/edge',
      privateKey: createPrivateKey(key),
    });
  };
  await bank.restartEdge(async () => {
    await decide('a');
    await cp(log, old, { recursive: true });
    await decide('b');
  });
  const healthy = await until(status, (ran) => ran.code === EXIT.ok && collected(ran) === 4);
  expect(healthy.out).not.toContain('NOT collected');
  const whole = await countersign(['find', '-d', data, '--log', 'edge', '--complete']);
  expect([whole.code, whole.err]).toEqual([EXIT.ok, expect.stringContaining('\ncomplete: ')]);

  await bank.restartEdge(async () => {
    await rm(log, { recursive: true });
    await cp(old, log, { recursive: true });
    await decide('c');
  });
  const told = await until(status, ({ out }) => out.includes('NOT collected'));
  expect(told.out).toMatch(
    / {2}edge {9}(connected|away {5}) {2}log \d+ entries, NOT collected since \d{4}-\S+Z: fork: found /,
  );
  expect(told.code).toBe(EXIT.negative);
  const asked = await countersign(['find', '-d', data, '--log', 'edge']);
  expect(asked.err).toMatch(/\nedge is not being collected since \S+Z \(fork\): /);
  const complete = await countersign(['find', '-d', data, '--log', 'edge', '--complete']);
  expect(complete.err).toMatch(/problem: edge: log-uncollected: found it not collected since /);
  expect(complete.err).toContain('NOT complete');
  expect(complete.code).toBe(EXIT.negative);
  // Other logs are not touched by it.
  const other = await countersign(['find', '-d', data, '--log', 'authority', '--complete']);
  expect(other.code).toBe(EXIT.ok);
});
