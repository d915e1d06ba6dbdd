import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LogPublisher, type PublishTrouble, startLogPublisher } from '@countersign/audit';
import { parseVerifierKey, tileFolder, verifyTiles } from '@countersign/ledger';
import { expect, onTestFinished, test } from 'vitest';
import { appendEvents, decision, gateway, sidecar, temporaryFolder } from './support/points.ts';

/** Two logs that grow, and a publisher that looks every 20 ms. */
async function sample() {
  const { folder, remove } = temporaryFolder();
  const troubles: [string, PublishTrouble][] = [];
  const clock = { nowMs: 0 };
  const publisher = startLogPublisher({
    everyMs: 20,
    now: () => clock.nowMs,
    onTrouble: (name, trouble) => troubles.push([name, trouble]),
  });
  const opened = await Promise.all(
    [gateway, sidecar].map(async (point) => {
      const source = join(folder, point.name);
      const log = await point.open(source);
      const target = join(folder, 'published', point.name);
      const { verifierKey } = point.registration;
      return {
        log,
        target,
        async grow(count: number): Promise<void> {
          await appendEvents(
            log,
            Array.from({ length: count }, (_, at) => decision(`e${at}`)),
          );
          publisher.follow({ name: point.name, folder: source, target, verifierKey }, log.size);
        },
        async published(): Promise<number> {
          const verifiers = [parseVerifierKey(verifierKey)];
          const report = await verifyTiles(tileFolder(target).read, { verifiers });
          expect(report.problems).toEqual([]);
          return report.entries;
        },
      };
    }),
  );
  onTestFinished(async () => {
    await publisher.close();
    for (const { log } of opened) await log.close();
    remove();
  });
  const [edge, beside] = opened as [(typeof opened)[0], (typeof opened)[0]];
  return { folder, publisher, troubles, clock, edge, beside };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

const statusOf = (publisher: LogPublisher, name: string) =>
  publisher.status().find((each) => each.name === name);

test('a log that is let go of is not published any more, and not told of', async () => {
  const { publisher, edge, beside } = await sample();
  await edge.grow(3);
  await beside.grow(2);
  await until(() => publisher.status().every((each) => each.publishedSize === each.logSize));
  await publisher.forget('gateway');
  await publisher.forget('no-such-log');
  expect(publisher.status().map(({ name }) => name)).toEqual(['sidecar']);
  await publisher.publishNow('gateway');
  await beside.grow(1);
  await publisher.publishNow('sidecar');
  expect([await edge.published(), await beside.published()]).toEqual([3, 3]);
  // Told of again, it goes on.
  await edge.grow(1);
  await publisher.publishNow('gateway');
  expect(await edge.published()).toBe(4);
});

test('each log that has grown is published by itself, and its lag is told', async () => {
  const { publisher, edge, beside, clock, troubles } = await sample();
  await edge.grow(300);
  await beside.grow(2);
  expect(statusOf(publisher, 'gateway')).toMatchObject({ logSize: 300, lagMs: 0 });
  await until(() => publisher.status().every((each) => each.publishedSize === each.logSize));
  expect([await edge.published(), await beside.published()]).toEqual([300, 2]);
  await edge.grow(5);
  clock.nowMs += 1000;
  await publisher.publishNow('gateway');
  expect(statusOf(publisher, 'gateway')).toEqual({
    ...{ name: 'gateway', logSize: 305, publishedSize: 305, lagMs: 0 },
  });
  expect(await edge.published()).toBe(305);
  expect(troubles).toEqual([]);
  await publisher.publishNow('no-such-log');
});

test('a folder that cannot be written to is told once, holds up no other, and is gone on with', async () => {
  const { folder, publisher, edge, beside, clock, troubles } = await sample();
  mkdirSync(join(folder, 'published'));
  writeFileSync(edge.target, 'in the way');
  await edge.grow(3);
  await beside.grow(3);
  await until(() => statusOf(publisher, 'sidecar')?.publishedSize === 3);
  await publisher.publishNow('gateway');
  await publisher.publishNow('gateway');
  clock.nowMs += 7000;
  expect(statusOf(publisher, 'gateway')).toMatchObject({
    lagMs: 7000,
    trouble: { code: 'failed' },
  });
  expect(troubles).toEqual([
    ['gateway', { code: 'failed', detail: expect.stringMatching(/EEXIST|ENOTDIR/) }],
  ]);
  rmSync(edge.target);
  await publisher.publishNow('gateway');
  expect(statusOf(publisher, 'gateway')).toMatchObject({ publishedSize: 3, lagMs: 0 });
  expect(statusOf(publisher, 'gateway')?.trouble).toBeUndefined();
  expect(await edge.published()).toBe(3);
});

test('what contradicts the log is refused and named, and nothing of it is written over', async () => {
  const { publisher, edge, beside, troubles } = await sample();
  await beside.grow(3);
  await publisher.publishNow('sidecar');
  const { log } = edge;
  await appendEvents(log, [decision('x')]);
  // The sidecar's folder under the gateway's name and key.
  const { verifierKey } = gateway.registration;
  const source = join(edge.target, '../../gateway');
  publisher.follow({ name: 'gateway', folder: source, target: beside.target, verifierKey }, 1);
  await publisher.publishNow('gateway');
  expect(troubles).toMatchObject([['gateway', { code: 'failed' }]]);
  await publisher.close();
  const again = startLogPublisher({
    now: () => 0,
    onTrouble: (name, trouble) => troubles.push([name, trouble]),
  });
  again.follow({ name: 'gateway', folder: source, target: beside.target, verifierKey }, 1);
  await again.publishNow('gateway');
  expect(troubles.at(-1)).toMatchObject(['gateway', { code: 'signature' }]);
  await again.close();
  expect(await beside.published()).toBe(3);
});

test('a disk that hangs holds up neither a log nor what is told of it', async () => {
  const { publisher, edge, clock } = await sample();
  mkdirSync(edge.target, { recursive: true });
  // Opening a pipe that nobody reads waits for ever, as a disk over a network may.
  const pipe = join(edge.target, 'vkey.new');
  execFileSync('mkfifo', [pipe]);
  await edge.grow(2);
  await sleep(100);
  for (let round = 0; round < 20; round++) await edge.grow(10);
  clock.nowMs += 60_000;
  expect(edge.log.size).toBe(202);
  expect(statusOf(publisher, 'gateway')).toMatchObject({ logSize: 202, lagMs: 60_000 });
  expect(statusOf(publisher, 'gateway')?.publishedSize).toBeUndefined();
  // The one who waits is let go; a pipe cannot be synced, which is a failure as any other.
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  await until(() => statusOf(publisher, 'gateway')?.trouble !== undefined);
  closeSync(reader);
  rmSync(pipe);
  await publisher.publishNow('gateway');
  expect(await edge.published()).toBe(202);
});
