import { type Database, groupTransactions, migrate, type Transaction } from '@countersign/state';
import { expect, test } from 'vitest';
import { onEachEngine } from './engines.ts';

interface Tables {
  word: { text: string };
}

const put = (text: string) => async (transaction: Transaction) => {
  await transaction.tables<Tables>().insertInto('word').values({ text }).execute();
  return text;
};
const words = async (database: Database) =>
  (await database.tables<Tables>().selectFrom('word').select('text').execute())
    .map(({ text }) => text)
    .sort();

onEachEngine('transactions in groups', (engine) => {
  /** And how often the database itself ran one. */
  async function open() {
    const database = await engine.open();
    const statements = ['create table word (text text primary key) strict'];
    await migrate(database, { room: 'words', migrations: [{ name: '0001', statements }] });
    const counts = { run: 0 };
    const counted: Database = {
      ...database,
      transaction(work) {
        counts.run += 1;
        return database.transaction(work);
      },
    };
    return { database: groupTransactions(counted), counts };
  }

  /** From a callback of its own, as requests are: between two of them all promises that can be kept are kept. */
  const later = <Result>(begin: () => Promise<Result>) =>
    new Promise<Result>((resolve, reject) => {
      setImmediate(() => begin().then(resolve, reject));
    });

  test('of one turn of the event loop are one where there is one connection', async () => {
    const { database, counts } = await open();
    const texts = ['a', 'b', 'c', 'd'];
    const done = texts.map((text) => later(() => database.transaction(put(text))));
    expect(await Promise.all(done)).toEqual(texts);
    expect(await words(database)).toEqual(texts);
    expect(counts.run).toBe(engine.name === 'sqlite' ? 1 : texts.length);
  });

  test('see what those before them left, also in their group', async () => {
    const { database } = await open();
    const count = async (transaction: Transaction) =>
      (await transaction.tables<Tables>().selectFrom('word').select('text').execute()).length;
    const both = [database.transaction(put('a')), database.transaction(count)] as const;
    expect(await Promise.all(both)).toEqual(['a', 1]);
  });

  test('fail alone, with nothing of theirs kept and all of the others', async () => {
    const { database } = await open();
    const settled = await Promise.allSettled([
      database.transaction(put('a')),
      database.transaction(async (transaction) => {
        await put('b')(transaction);
        throw new Error('changed my mind');
      }),
      database.transaction(put('a')),
      database.transaction(put('c')),
    ]);
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(settled[1]).toMatchObject({ reason: { message: 'changed my mind' } });
    expect(await words(database)).toEqual(['a', 'c']);
  });

  test('go on after one that failed', async () => {
    const { database } = await open();
    const failing = database.transaction(() => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await database.transaction(put('a'))).toBe('a');
  });
});
