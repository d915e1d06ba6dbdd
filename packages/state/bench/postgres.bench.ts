/** The same work on SQLite and on PostgreSQL, every commit on disk. Run from the root: see the README. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fact } from '@countersign/model';
import {
  type Database,
  type FactLog,
  migrate,
  openDatabase,
  openFactLog,
  openPostgres,
} from '@countersign/state';
import { findPostgres, startPostgres } from '@countersign/test-support/postgres';

const COUNT = 2000;
const folder = mkdtempSync(join(tmpdir(), 'state-bench-'));
const bin = findPostgres();
if (bin === undefined) throw new Error('found no initdb, expected the Debian package postgresql');
const server = await startPostgres(bin, { isDurable: true });
const place = await server.createDatabase();

const fact = (value: number): Fact => ({
  ...{ kind: 'entity', uid: { type: 'Account', id: String(value % 100) } },
  ...{ attributes: { value }, parents: [] },
});
const words = { name: '0001', statements: ['create table word (id integer primary key) strict'] };
interface Tables {
  word: { id: number };
}

async function measure(name: string, count: number, work: () => Promise<unknown>): Promise<void> {
  const [own, theirs, start] = [process.cpuUsage(), server.cpuSeconds(), performance.now()];
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(own);
  const [here, there] = [(user + system) / 1e6, server.cpuSeconds() - theirs];
  const each = (cpu: number) => `${Math.round((cpu / count) * 1e6)} µs`;
  console.log(
    `${name}: ${Math.round(count / seconds)} a second; CPU each: ${each(here)} here, ${each(there)} in PostgreSQL`,
  );
}

async function append(logs: readonly FactLog[]): Promise<void> {
  await Promise.all(
    logs.map(async (log, who) => {
      for (let index = who; index < COUNT; index += logs.length) {
        await log.append({ puts: [fact(index)] });
      }
    }),
  );
}

let next = 0;
async function insert(database: Database, writers: number): Promise<void> {
  await Promise.all(
    Array.from({ length: writers }, async (_, who) => {
      for (let index = who; index < COUNT; index += writers) {
        await database.transaction(async (transaction) => {
          next += 1;
          await transaction.tables<Tables>().insertInto('word').values({ id: next }).execute();
        });
      }
    }),
  );
}

const sqlite = openDatabase({ file: join(folder, 'state.db') });
const [one, two] = [await openPostgres(place), await openPostgres(place)];
const options = { trustDomain: 'bank.example', now: Date.now };
for (const [name, database] of [
  ['SQLite', sqlite],
  ['PostgreSQL', one],
] as const) {
  await migrate(database, { room: 'bench', migrations: [words] });
  const log = await openFactLog(database, options);
  await measure(`${name}, appends of one fact`, COUNT, () => append([log]));
  await measure(`${name}, transactions of one row, 1 writer`, COUNT, () => insert(database, 1));
  await measure(`${name}, transactions of one row, 16 writers`, COUNT, () => insert(database, 16));
  await measure(`${name}, reads of one row`, COUNT, async () => {
    for (let id = 1; id <= COUNT; id += 1) {
      await database.tables<Tables>().selectFrom('word').selectAll().where('id', '=', id).execute();
    }
  });
  await measure(`${name}, turns of exclusive`, COUNT / 4, async () => {
    for (let index = 0; index < COUNT / 4; index += 1) await database.exclusive('a', async () => 0);
  });
}
const logs = [await openFactLog(one, options), await openFactLog(two, options)];
await measure('PostgreSQL, appends of one fact, 2 pools in turns', COUNT, () => append(logs));
const times: number[] = [];
for (let index = 0; index < 500; index += 1) {
  const start = performance.now();
  const heard = new Promise<void>((resolve) => {
    const stop = logs[1]?.subscribe(() => {
      stop?.();
      resolve();
    });
  });
  await logs[0]?.append({ puts: [fact(index)] });
  await heard;
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const at = (share: number) => (times[Math.floor(times.length * share)] ?? 0).toFixed(2);
console.log(
  `from append at one to its listener at the other: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
);
for (const database of [sqlite, one, two]) await database.close();
await server.stop();
rmSync(folder, { recursive: true });
