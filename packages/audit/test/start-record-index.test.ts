import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type IndexProgress, startRecordIndex } from '@countersign/audit';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { bankLog, said } from './support/bank-log.ts';
import { bruteForce } from './support/brute-force.ts';
import { temporaryFolder } from './support/points.ts';

async function sample() {
  const { folder, remove } = temporaryFolder();
  const log = await bankLog(folder, 'gateway');
  const index = startRecordIndex();
  onTestFinished(async () => {
    await index.close();
    await log.log.close();
    remove();
  });
  return { log, index, folder };
}

const denials = { where: [{ fields: ['effect'], values: ['deny'] }] } as const;

test('a thread follows a log and answers, while this one goes on appending', async () => {
  const { log, index } = await sample();
  const events = fc.sample(said, { seed: 8, numRuns: 200 });
  for (let at = 0; at < events.length; at += 20) {
    await log.append(events.slice(at, at + 20));
    index.follow(log.source, log.log.size);
    const { rows, count } = await index.ask(denials, { order: 'oldest', limit: 1000 });
    const expected = bruteForce([log], denials);
    expect(rows.map((row) => `gateway ${row.index}`)).toEqual(expected);
    expect(count).toBe(expected.length);
  }
  expect((await index.verify(denials)).isComplete).toBe(true);
  expect(await index.status()).toEqual([
    { name: 'gateway', logSize: 200, indexed: 200, rebuilt: [] },
  ]);
});

test('it tells how far it is', async () => {
  const { log, index } = await sample();
  await log.append(fc.sample(said, { seed: 8, numRuns: 50 }));
  index.follow(log.source, log.log.size);
  const told: IndexProgress[] = [];
  await index.verify(denials, { onProgress: (progress) => void told.push(progress) });
  expect(told.at(-1)).toMatchObject({ log: 'gateway', of: 50 });
});

test('what goes wrong there has its code here', async () => {
  const { log, index, folder } = await sample();
  await log.append(fc.sample(said, { seed: 8, numRuns: 5 }));
  const page = { order: 'newest', limit: 1 } as const;
  await expect(index.ask({ where: [], logs: ['x'] }, page)).rejects.toMatchObject({
    name: 'AuditError',
    code: 'ERR_AUDIT_QUESTION',
  });
  index.follow({ ...log.source, folder: join(folder, 'nowhere') }, 5);
  await expect(index.ask({ where: [] }, page)).rejects.toThrow();
  // A file where the folder of the index should be.
  writeFileSync(join(folder, 'file'), '');
  const events = fc.sample(said, { seed: 8, numRuns: 33_000 });
  for (let at = 0; at < events.length; at += 3000) await log.append(events.slice(at, at + 3000));
  index.follow({ ...log.source, indexFolder: join(folder, 'file') }, log.log.size);
  await expect(index.ask({ where: [] }, page)).rejects.toMatchObject({
    code: 'ERR_AUDIT_INDEX_FAILED',
  });
}, 60_000);

test('a closed index says so', async () => {
  const { log, index } = await sample();
  index.follow(log.source, 0);
  await index.close();
  const asked = index.ask({ where: [] }, { order: 'newest', limit: 1 });
  await expect(asked).rejects.toMatchObject({ code: 'ERR_AUDIT_INDEX_FAILED' });
});
