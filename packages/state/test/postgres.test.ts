import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, moveState, openDatabase } from '@countersign/state';
import { type Generated, sql } from 'kysely';
import { expect, test } from 'vitest';
import { onPostgres } from './engines.ts';

interface Tables {
  word: { id: number; text: string };
}
const words = {
  name: '0001',
  statements: ['create table word (id integer primary key, text text not null) strict'],
};

onPostgres('a step written for SQLite', (engine) => {
  test('makes columns and constraints of the same meaning', async () => {
    const database = await engine.open();
    const statements = [
      `create table a (
         position integer primary key autoincrement, text text not null unique check (text in ('integer, blob', 'b')),
         sealed blob not null, share real
       ) strict`,
      'alter table a add column more text',
      "create unique index a_more on a (more) where more is not null and text <> 'b'",
      `create table b (
         x integer not null check (x in (1, 2)), y text references a (text), primary key (x, y)
       ) strict, without rowid`,
    ];
    await migrate(database, { room: 'a', migrations: [{ name: '0001', statements }] });
    const { rows } = await sql<Record<string, string>>`
      select column_name, data_type, collation_name, is_nullable, is_identity
        from information_schema.columns where table_name = 'a' order by ordinal_position`.execute(
      database.tables(),
    );
    expect(rows.map((row) => Object.values(row).join(' '))).toEqual([
      'position bigint  NO YES',
      'text text C NO NO',
      'sealed bytea  NO NO',
      'share double precision  YES NO',
      'more text C YES NO',
    ]);
    const tables = database.tables<{
      a: { text: string; sealed: Uint8Array };
      b: { x: number; y: string };
    }>();
    const sealed = new Uint8Array();
    await tables.insertInto('a').values({ text: 'integer, blob', sealed }).execute();
    await tables.insertInto('b').values({ x: 1, y: 'integer, blob' }).execute();
    for (const [x, y] of [
      [1, 'integer, blob'],
      [2, 'b'],
      [3, 'integer, blob'],
    ] as const) {
      await expect(tables.insertInto('b').values({ x, y }).execute()).rejects.toThrow(/violates/);
    }
  });

  test.each([
    'create table a (b any) strict',
    'create table a (b integer)',
    'create table a (b) strict',
    'alter table a add column b datetime',
  ])('is refused when it is "%s"', async (statement) => {
    const database = await engine.open();
    const migrations = [{ name: '0001', statements: [statement] }];
    await expect(migrate(database, { room: 'a', migrations })).rejects.toMatchObject({
      code: 'ERR_STATE_MIGRATION',
      message: expect.stringContaining('strict table'),
    });
  });
});

onPostgres('several processes on one database', (engine) => {
  test('write one at a time, each seeing what the other left', async () => {
    const databases = [await engine.open(), await engine.openAgain(), await engine.openAgain()];
    await Promise.all(
      databases.map((database) => migrate(database, { room: 'words', migrations: [words] })),
    );
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        databases[index % 3]?.transaction(async (transaction) => {
          const tables = transaction.tables<Tables>();
          const { count } = await tables
            .selectFrom('word')
            .select(({ fn }) => fn.countAll<number>().as('count'))
            .executeTakeFirstOrThrow();
          await tables.insertInto('word').values({ id: count, text: 'x' }).execute();
        }),
      ),
    );
    const rows = await databases[0]?.tables<Tables>().selectFrom('word').select('id').execute();
    expect(rows?.map(({ id }) => id).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 60 }, (_, index) => index),
    );
  });

  test('keep nothing of a transaction that hid the failure of a statement', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [words] });
    const hiding = database.transaction(async (transaction) => {
      const tables = transaction.tables<Tables>();
      await tables.insertInto('word').values({ id: 1, text: 'a' }).execute();
      await tables
        .insertInto('word')
        .values({ id: 1, text: 'b' })
        .execute()
        .catch(() => undefined);
    });
    await expect(hiding).rejects.toMatchObject({ code: 'ERR_STATE_QUERY' });
    expect(await database.tables<Tables>().selectFrom('word').selectAll().execute()).toEqual([]);
  });

  test('run one of a name at a time, and fail what is written when the lock was lost', async () => {
    const [first, second] = [await engine.open(), await engine.openAgain()];
    await migrate(first, { room: 'words', migrations: [words] });
    const order: string[] = [];
    const insert = (database: typeof first, id: number) =>
      database.transaction(async (transaction) => {
        await transaction.tables<Tables>().insertInto('word').values({ id, text: 'x' }).execute();
      });
    let enter: () => void = () => undefined;
    const entered = new Promise<void>((resolve) => {
      enter = resolve;
    });
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const one = first.exclusive('identity', async () => {
      order.push('first in');
      enter();
      await mayGoOn;
      // Its lock is gone by now, and somebody else's.
      await insert(first, 1);
    });
    const failing = expect(one).rejects.toMatchObject({ code: 'ERR_STATE_UNAVAILABLE' });
    await entered;
    const other = second.exclusive('identity', async () => {
      order.push('second in');
      await insert(second, 2);
    });
    const client = await engine.server.connect();
    const { rows } = await client.query(
      "select pid, pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted",
    );
    expect(rows).toHaveLength(1);
    await client.end();
    await other;
    goOn();
    await failing;
    expect(order).toEqual(['first in', 'second in']);
    const left = await second.tables<Tables>().selectFrom('word').select('id').execute();
    expect(left).toEqual([{ id: 2 }]);
    await insert(first, 3);
  });

  test('keep copies of rows that follow what another changed', async () => {
    const [first, second] = [await engine.open(), await engine.openAgain()];
    await migrate(first, { room: 'words', migrations: [words] });
    let copy: readonly number[] = [];
    await second.follow('words', async (transaction) => {
      const rows = await transaction.tables<Tables>().selectFrom('word').select('id').execute();
      copy = rows.map(({ id }) => id);
    });
    expect(copy).toEqual([]);
    await first.exclusive('words', () =>
      first.transaction(async (transaction) => {
        await transaction
          .tables<Tables>()
          .insertInto('word')
          .values({ id: 1, text: 'x' })
          .execute();
        await transaction.touch('words');
      }),
    );
    await expect.poll(() => copy, { timeout: 10_000 }).toEqual([1]);
    // Not by chance of a notice: whoever gets the turn has seen what the one before it did.
    await first.transaction(async (transaction) => {
      await transaction.tables<Tables>().insertInto('word').values({ id: 2, text: 'x' }).execute();
      await transaction.touch('words');
    });
    await second.exclusive('words', async () => expect(copy).toEqual([1, 2]));
  });
});

onPostgres('a file of SQLite', (engine) => {
  test('is moved as later steps left it: renamed, with columns added and dropped, numbered on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'move-state-'));
    const file = join(folder, 'a.db');
    const from = openDatabase({ file });
    const statements = [
      'create table old (id integer primary key autoincrement, a text not null, b blob, c integer) strict',
      "insert into old (a, b, c) values ('1', x'00ff', 1), ('2', null, 2), ('3', null, 3)",
      'alter table old rename to renamed',
      'alter table renamed rename column a to name',
      "alter table renamed add column later text not null default 'x' check (later in ('x', 'y'))",
      'alter table renamed drop column c',
      'create unique index renamed_name on renamed (name) where later is not null',
      'delete from renamed where id = 3',
    ];
    await migrate(from, { room: 'a', migrations: [{ name: '0001', statements }] });
    await from.close();
    const to = await engine.open();
    expect(await moveState({ file, to })).toEqual({ tables: 2, rows: 3 });
    await migrate(to, { room: 'a', migrations: [{ name: '0001', statements }] });
    const tables = to.tables<{
      renamed: { id: Generated<number>; name: string; b: Uint8Array | null; later: string };
    }>();
    await tables.insertInto('renamed').values({ name: '4', b: null, later: 'y' }).execute();
    expect(await tables.selectFrom('renamed').selectAll().orderBy('id').execute()).toEqual([
      { id: 1, name: '1', b: Buffer.from([0, 255]), later: 'x' },
      { id: 2, name: '2', b: null, later: 'x' },
      { id: 4, name: '4', b: null, later: 'y' },
    ]);
    await expect(
      tables.insertInto('renamed').values({ name: '4', b: null, later: 'y' }).execute(),
    ).rejects.toThrow(/renamed_name/);
    rmSync(folder, { recursive: true });
  });
});

onPostgres('a server', (engine) => {
  test('that loses every connection loses nothing that was acknowledged', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [words] });
    const acknowledged: number[] = [];
    let isOver = false;
    const writing = (async () => {
      for (let id = 0; !isOver; id += 1) {
        try {
          await database.tables<Tables>().insertInto('word').values({ id, text: 'x' }).execute();
          acknowledged.push(id);
        } catch {
          // Unknown: not acknowledged.
        }
      }
    })();
    const client = await engine.server.connect();
    let ended = 0;
    while (ended < 5 || acknowledged.length < 50) {
      const { rows } = await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign'",
      );
      ended += rows.length;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await client.end();
    isOver = true;
    await writing;
    const rows = await database.tables<Tables>().selectFrom('word').select('id').execute();
    const kept = new Set(rows.map(({ id }) => id));
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
  }, 60_000);

  test('that crashes is used again when it is back, and says so while it is away', async () => {
    const database = await engine.open();
    await migrate(database, { room: 'words', migrations: [words] });
    await database.tables<Tables>().insertInto('word').values({ id: 1, text: 'x' }).execute();
    const count = () => database.tables<Tables>().selectFrom('word').select('id').execute();
    const crashed = engine.server.crash({ downMilliseconds: 1000 });
    await expect
      .poll(() => count().catch((error) => error.code), { timeout: 10_000 })
      .toBe('ERR_STATE_UNAVAILABLE');
    await crashed;
    await expect.poll(() => count().catch(() => 'away'), { timeout: 10_000 }).toEqual([{ id: 1 }]);
  }, 60_000);
});
