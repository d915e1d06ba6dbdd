import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openRecordIndex } from '@countersign/audit';
import { encodeEvent } from '@countersign/model';
import { expect, onTestFinished, test } from 'vitest';
import { bankTraffic } from '../bench/bank-traffic.ts';
import { bankLog } from './support/bank-log.ts';
import { NOW, temporaryFolder } from './support/points.ts';

const BLOCK_EVENTS = 32_768;
const EVENTS = 2 * BLOCK_EVENTS;

test('an event of a bank’s traffic takes at most 100 bytes of index, however small its commits are', async () => {
  const { folder, remove } = temporaryFolder();
  const { source, log } = await bankLog(folder, 'gateway');
  onTestFinished(async () => {
    await log.close();
    remove();
  });
  const { origin } = source;
  const traffic = bankTraffic({ events: EVENTS, origin, startMs: NOW, spanMs: 86_400_000 });
  let inCommit = 0;
  for (const event of traffic) {
    const index = log.append(encodeEvent(event));
    // Mostly large, for the sake of time; the rest a request alone, whose places take most.
    if (++inCommit < (index < 4000 ? 2 : 500)) continue;
    await log.durable(index);
    inCommit = 0;
  }
  await log.durable(log.nextIndex - 1);
  const index = openRecordIndex();
  index.follow(source, log.size);
  const all = await index.ask({ where: [] }, { order: 'newest', limit: 0 });
  await index.close();
  expect(all.count).toBe(EVENTS);
  const bytes = readdirSync(source.indexFolder).reduce(
    (sum, name) => sum + statSync(join(source.indexFolder, name)).size,
    0,
  );
  expect(bytes / EVENTS).toBeLessThan(100);
  expect(bytes / EVENTS).toBeGreaterThan(20);
}, 120_000);
