import { type Database, migrate, prepareQuery } from '@countersign/state';
import type { Kysely } from 'kysely';
import { expect, test } from 'vitest';
import { onEachEngine } from './engines.ts';

interface Tables {
  word: { id: number; text: string; lang: string | null };
}

let timesBuilt = 0;
const idsOf = prepareQuery(
  (tables: Kysely<Tables>, of: { readonly text: string; readonly count: number }) => {
    timesBuilt += 1;
    return (
      tables
        .selectFrom('word')
        .select('id')
        .where('lang', 'is', null)
        // A value of its own beside one that is asked for twice.
        .where(({ eb, or }) => or([eb('text', '=', of.text), eb('id', '=', -1)]))
        .where('text', '=', of.text)
        .orderBy('id')
        .limit(of.count)
    );
  },
);
const put = prepareQuery((tables: Kysely<Tables>, row: Tables['word']) =>
  tables.insertInto('word').values({ id: row.id, text: row.text, lang: row.lang }),
);

async function open(database: Database): Promise<Database> {
  const create = 'create table word (id integer primary key, text text not null, lang text) strict';
  await migrate(database, { room: 'words', migrations: [{ name: '0001', statements: [create] }] });
  for (const [id, text] of [
    [1, 'a'],
    [2, 'b'],
    [3, 'a'],
  ] as const) {
    await put.run(database, { id, text, lang: null });
  }
  return database;
}

onEachEngine('a prepared query', (engine) => {
  test('gives the rows of the values of each run, built once', async () => {
    const database = await open(await engine.open());
    expect(await idsOf.run(database, { text: 'a', count: 9 })).toEqual([{ id: 1 }, { id: 3 }]);
    const before = timesBuilt;
    expect(await idsOf.run(database, { text: 'a', count: 1 })).toEqual([{ id: 1 }]);
    expect(await idsOf.run(database, { text: 'b', count: 9 })).toEqual([{ id: 2 }]);
    expect(timesBuilt).toBe(before);
  });

  test('is part of the transaction that it is run in', async () => {
    const database = await open(await engine.open());
    const failing = database.transaction(async (transaction) => {
      await put.run(transaction, { id: 4, text: 'a', lang: null });
      expect(await idsOf.run(transaction, { text: 'a', count: 9 })).toHaveLength(3);
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await idsOf.run(database, { text: 'a', count: 9 })).toHaveLength(2);
  });
});
