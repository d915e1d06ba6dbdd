import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openRecordIndex, type Question } from '@countersign/audit';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type BankLog, bankLog, said } from './support/bank-log.ts';
import { bruteForce } from './support/brute-force.ts';
import { temporaryFolder } from './support/points.ts';

const SIZES = { blockEvents: 32, blocksPerPartition: 2 };
const DENIALS: Question = { where: [{ fields: ['effect'], values: ['deny'] }] };

/** A log of 300 events with its index, closed. */
async function indexed(): Promise<BankLog> {
  const { folder, remove } = temporaryFolder();
  const log = await bankLog(folder, 'gateway');
  onTestFinished(async () => {
    await log.log.close();
    remove();
  });
  await log.append(fc.sample(said, { seed: 8, numRuns: 300 }));
  const index = openRecordIndex({ sizes: SIZES });
  index.follow(log.source, log.log.size);
  await index.ask(DENIALS, { order: 'newest', limit: 0 });
  await index.close();
  return log;
}

async function ask({ source, log }: BankLog, question = DENIALS) {
  const index = openRecordIndex({ sizes: SIZES });
  index.follow(source, log.size);
  const answer = await index.ask(question, { order: 'oldest', limit: 1000 });
  const complete = await index.verify(question);
  await index.close();
  return { answer, complete };
}

/** Does something to the first partition behind the index's back. */
function tamper({ source }: BankLog, sql: string, ...values: readonly Uint8Array[]): void {
  const sqlite = new DatabaseSync(join(source.indexFolder, '000000.idx'));
  expect(sqlite.prepare(sql).run(...values).changes).toBeGreaterThan(0);
  sqlite.close();
}

test('an index as the log makes it is complete, for any question', async () => {
  const log = await indexed();
  const { answer, complete } = await ask(log);
  const count = bruteForce([log], DENIALS).length;
  expect(count).toBeGreaterThan(10);
  expect(answer.count).toBe(count);
  expect(complete).toMatchObject({
    isComplete: true,
    problems: [],
    logs: [{ name: 'gateway', size: 300, proven: 300, count, logProblems: [] }],
  });
});

test('rows that somebody deleted from the index are found, each by its place', async () => {
  const log = await indexed();
  tamper(log, 'delete from posting where block = 0');
  const { answer, complete } = await ask(log);
  const missing = bruteForce([log], DENIALS)
    .map((place) => Number(place.split(' ')[1]))
    .filter((index) => index < 32);
  expect(missing).not.toEqual([]);
  expect(answer.count).toBe(bruteForce([log], DENIALS).length - missing.length);
  expect(complete.isComplete).toBe(false);
  expect(complete.problems.map(({ code, index }) => [code, index])).toEqual(
    missing.map((index) => ['index-omitted', index]),
  );
});

test('rows that somebody put into the index are found, and never shown', async () => {
  const log = await indexed();
  // A list of the distances 0, 0, 0 …: all of the first twenty events.
  const all = Uint8Array.from([0, ...Array<number>(20).fill(0)]);
  tamper(log, 'update posting set list = ? where block = 0', all);
  const { answer, complete } = await ask(log);
  const invented = Array.from({ length: 20 }, (_, at) => at).filter(
    (at) => !bruteForce([log], DENIALS).includes(`gateway ${at}`),
  );
  const of = (code: string, problems: typeof answer.problems) =>
    problems.filter((each) => each.code === code).map(({ index }) => index);
  expect(of('index-invented', answer.problems)).toEqual(invented);
  expect(
    answer.rows.every(({ event }) => event.kind === 'decision' && event.effect === 'deny'),
  ).toBe(true);
  expect(complete.isComplete).toBe(false);
  expect(of('index-invented', complete.problems)).toEqual(invented);
});

test('moments that somebody moved are found', async () => {
  const log = await indexed();
  tamper(log, 'update block set min_at = 1, max_at = 2 where id = 1');
  const from = log.events[0]?.at ?? 0;
  const { answer, complete } = await ask(log, { where: [], fromMs: from });
  expect(answer.count).toBe(268);
  expect(complete.problems.map(({ code }) => code)).toEqual(Array(32).fill('index-omitted'));
});

test('a place that somebody changed shows no other event', async () => {
  const log = await indexed();
  const [{ places: other } = { places: new Uint8Array() }] = (() => {
    const sqlite = new DatabaseSync(join(log.source.indexFolder, '000000.idx'));
    const rows = sqlite.prepare('select places from chunk where id = 1').all();
    sqlite.close();
    return rows as { places: Uint8Array }[];
  })();
  tamper(log, 'update chunk set places = ? where id = 0', other);
  const { answer } = await ask(log, { where: [] });
  const wrong = answer.problems.map(({ code }) => code);
  expect(wrong).toHaveLength(32);
  expect(new Set(wrong)).toEqual(new Set(['index-invented']));
  expect(answer.rows.map(({ index }) => index)).toEqual(
    Array.from({ length: 268 }, (_, at) => at + 32),
  );
});

test('a log that is not as it was written makes no answer complete', async () => {
  const log = await indexed();
  const file = join(log.source.folder, '00000000.log');
  const bytes = readFileSync(file);
  const at = bytes.indexOf('"effect":"deny"');
  bytes.write('X', at + 10);
  writeFileSync(file, bytes);
  const index = openRecordIndex({ sizes: SIZES });
  index.follow(log.source, 256);
  const complete = await index.verify(DENIALS);
  await index.close();
  expect(complete.isComplete).toBe(false);
  expect(complete.logs[0]?.logProblems[0]).toMatchObject({ file: '00000000.log', code: 'entry' });
});
