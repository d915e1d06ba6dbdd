import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, migrate, openDatabase } from '@countersign/state';
import { sql } from 'kysely';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { onEachEngine } from './engines.ts';

const folder = mkdtempSync(join(tmpdir(), 'state-'));
const opened: Database[] = [];

function open(file = ':memory:'): Database {
  const database = openDatabase({ file });
  opened.push(database);
  return database;
}

afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Tables {
  word: { id: number; text: string };
}

const first = {
  name: '0001',
  statements: ['create table word (id integer primary key, text text not null) strict'],
};

describe('openDatabase', () => {
  test('makes a file that only its owner may read', async () => {
    const file = join(folder, 'deep', 'a.db');
    await migrate(open(file), { room: 'words', migrations: [first] });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(`${file}-wal`).mode & 0o777).toBe(0o600);
  });

  test('names the file that is no database', () => {
    const file = join(folder, 'not.db');
    writeFileSync(file, 'x'.repeat(5000));
    expect(() => openDatabase({ file })).toThrow(
      expect.objectContaining({
        code: 'ERR_STATE_OPEN',
        message: expect.stringContaining('not.db'),
      }),
    );
  });

  test('keeps rows over a reopening, durably', async () => {
    const file = join(folder, 'b.db');
    const before = open(file);
    await migrate(before, { room: 'words', migrations: [first] });
    await before.tables<Tables>().insertInto('word').values({ id: 1, text: 'ä' }).execute();
    await before.close();
    const after = open(file);
    expect(await after.tables<Tables>().selectFrom('word').selectAll().execute()).toEqual([
      { id: 1, text: 'ä' },
    ]);
  });

  test('ends a query on the database from inside its own transaction after 30 s', async () => {
    const database = open();
    await migrate(database, { room: 'words', migrations: [first] });
    vi.useFakeTimers();
    try {
      const nested = database.transaction(async () => {
        const inner = database.tables<Tables>().selectFrom('word').selectAll().execute();
        await vi.advanceTimersByTimeAsync(29_999);
        const settled = await Promise.race([inner.catch(() => 'ended'), Promise.resolve('waits')]);
        expect(settled).toBe('waits');
        await Promise.all([inner, vi.advanceTimersByTimeAsync(1)]);
      });
      await expect(nested).rejects.toMatchObject({ code: 'ERR_STATE_BUSY' });
    } finally {
      vi.useRealTimers();
    }
    expect(await database.tables<Tables>().selectFrom('word').selectAll().execute()).toEqual([]);
  });
});

onEachEngine('a database', (engine) => {
  test('keeps nothing of a transaction that throws', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const failing = database.transaction(async (transaction) => {
      await transaction.tables<Tables>().insertInto('word').values({ id: 1, text: 'a' }).execute();
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await database.tables<Tables>().selectFrom('word').selectAll().execute()).toEqual([]);
  });

  test('runs transactions that overlap one after the other', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    await Promise.all(
      Array.from({ length: 50 }, () =>
        database.transaction(async (transaction) => {
          const tables = transaction.tables<Tables>();
          const { count } = await tables
            .selectFrom('word')
            .select((select) => select.fn.countAll<number>().as('count'))
            .executeTakeFirstOrThrow();
          await tables.insertInto('word').values({ id: count, text: 'x' }).execute();
        }),
      ),
    );
    const rows = await database.tables<Tables>().selectFrom('word').select('id').execute();
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  test('refuses a value of another type than its column', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const insert = database
      .tables<Tables>()
      .insertInto('word')
      .values({ id: 'one' as unknown as number, text: 'a' })
      .execute();
    await expect(insert).rejects.toThrow();
  });

  test('streams a select while others run', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const tables = database.tables<Tables>();
    for (let id = 0; id < 5; id += 1) {
      await tables.insertInto('word').values({ id, text: 'x' }).execute();
    }
    const seen: number[] = [];
    for await (const { id } of tables.selectFrom('word').selectAll().stream()) seen.push(id);
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  test('refuses queries after it was closed, and closes twice', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    await database.close();
    await database.close();
    await expect(
      database.tables<Tables>().selectFrom('word').selectAll().execute(),
    ).rejects.toThrow();
  });

  test('reads integers up to 2^53 and bytes as they were written', async () => {
    interface Values {
      value: { number: number; bytes: Uint8Array };
    }
    const database = await engine.open();
    const statements = ['create table value (number integer not null, bytes blob not null) strict'];
    await migrate(database, { room: 'values', migrations: [{ name: '0001', statements }] });
    const tables = database.tables<Values>();
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const values = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0];
    for (const number of values) {
      await tables.insertInto('value').values({ number, bytes }).execute();
    }
    const rows = await tables.selectFrom('value').selectAll().execute();
    expect(rows.map(({ number }) => number)).toEqual(values);
    expect(rows.map((row) => Buffer.from(row.bytes).equals(bytes))).toEqual([true, true, true]);
    const { count, sum } = await tables
      .selectFrom('value')
      .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum<number>('number').as('sum')])
      .executeTakeFirstOrThrow();
    expect([count, sum]).toEqual([3, 0]);
  });

  test('orders and compares texts by their bytes', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const tables = database.tables<Tables>();
    const texts = ['b', 'B', 'ä', 'a', 'Z', '_', 'ab', '😀', '￿'];
    for (const [id, text] of texts.entries()) {
      await tables.insertInto('word').values({ id, text }).execute();
    }
    const rows = await tables.selectFrom('word').select('text').orderBy('text').execute();
    const byBytes = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(rows.map(({ text }) => text)).toEqual(byBytes);
    expect(await tables.selectFrom('word').select('id').where('text', '=', 'A').execute()).toEqual(
      [],
    );
  });

  test('finds a text in a JSON document by its path', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const tables = database.tables<Tables>();
    const texts = ['{"a":{"b":"here"},"c":"x"}', '{"c":"here"}', '{}'];
    for (const [id, text] of texts.entries()) {
      await tables.insertInto('word').values({ id, text }).execute();
    }
    const { rows } = await sql<{ id: number }>`
      select id from word where json_extract(text, '$.a.b') = ${'here'}`.execute(tables);
    expect(rows).toEqual([{ id: 0 }]);
  });

  test('tells what a lone write changed', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    const tables = database.tables<Tables>();
    const { numInsertedOrUpdatedRows } = await tables
      .insertInto('word')
      .values([1, 2, 3].map((id) => ({ id, text: 'x' })))
      .executeTakeFirst();
    const { numDeletedRows } = await tables
      .deleteFrom('word')
      .where('id', '>', 1)
      .executeTakeFirst();
    expect([numInsertedOrUpdatedRows, numDeletedRows]).toEqual([3n, 2n]);
  });
});

onEachEngine('migrate', (engine) => {
  const second = { name: '0002', statements: ['alter table word add column lang text'] };

  test('runs each step once', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first] });
    await migrate(database, { room: 'words', migrations: [first, second] });
    await migrate(database, { room: 'words', migrations: [first, second] });
    await migrate(database, { room: 'others', migrations: [] });
  });

  test.each([
    ['a database of a newer version', [first]],
    ['steps in another order', [second, first]],
  ])('refuses %s', async (_, migrations) => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [first, second] });
    await expect(migrate(database, { room: 'words', migrations })).rejects.toMatchObject({
      code: 'ERR_STATE_MIGRATION',
    });
  });

  test('keeps nothing of a step that fails', async () => {
    const database = await engine.open();
    const broken = { name: '0001', statements: [...first.statements, 'create nonsense'] };
    await expect(migrate(database, { room: 'words', migrations: [broken] })).rejects.toMatchObject({
      code: 'ERR_STATE_MIGRATION',
      message: expect.stringContaining('0001'),
    });
    await migrate(database, { room: 'words', migrations: [first] });
  });
});
