// The provider asks for all of this by name; our grants reach only a part of it.
import { issuerAdapter } from '@countersign/identity';
import { type Database, groupTransactions } from '@countersign/state';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAuthority, type TestAuthority } from './authority.ts';

let nowMs: number;
let authority: TestAuthority;
let adapterOf: ReturnType<typeof issuerAdapter>;

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  authority = await startAuthority();
  adapterOf = issuerAdapter(groupTransactions(authority.database), {
    now: () => nowMs,
    clientMetadata: (id) => (id === 'known' ? { client_id: id } : undefined),
  });
});

afterEach(() => authority.close());

const rows = async () =>
  (
    await authority.database
      .tables<{ issuer_row: { id: string } }>()
      .selectFrom('issuer_row')
      .select('id')
      .execute()
  ).length;

describe('the rows of the issuer', () => {
  test('are found until their last moment and not after', async () => {
    const grants = adapterOf('Grant');
    await grants.upsert('a', { jti: 'a' }, 10);
    nowMs += 9_999;
    expect(await grants.find('a')).toEqual({ jti: 'a' });
    nowMs += 1;
    expect(await grants.find('a')).toBeUndefined();
  });

  test('are none of a name that no text of the database can be', async () => {
    expect(await adapterOf('AuthorizationCode').find('a\0b')).toBeUndefined();
    expect(await adapterOf('Session').findByUid('\0')).toBeUndefined();
  });

  test('of one model are not those of another', async () => {
    await adapterOf('Grant').upsert('a', { jti: 'a' }, 10);
    expect(await adapterOf('Session').find('a')).toBeUndefined();
  });

  test('replace what was there', async () => {
    const grants = adapterOf('Grant');
    await grants.upsert('a', { jti: 'a' }, 10);
    await grants.upsert('a', { jti: 'b' }, 20);
    nowMs += 15_000;
    expect(await grants.find('a')).toEqual({ jti: 'b' });
  });

  test('are found by uid and by user code', async () => {
    await adapterOf('Session').upsert('a', { uid: 'u' }, 10);
    await adapterOf('DeviceCode').upsert('b', { userCode: 'c' }, 10);
    expect(await adapterOf('Session').findByUid('u')).toEqual({ uid: 'u' });
    expect(await adapterOf('DeviceCode').findByUserCode('c')).toEqual({ userCode: 'c' });
    expect(await adapterOf('DeviceCode').findByUid('u')).toBeUndefined();
  });

  test('say when they were consumed', async () => {
    const codes = adapterOf('AuthorizationCode');
    await codes.upsert('a', { jti: 'a' }, 10);
    await codes.consume('a');
    await codes.consume('unknown');
    expect(await codes.find('a')).toEqual({ jti: 'a', consumed: 1_800_000_000 });
  });

  test('go one by one, or all of a grant', async () => {
    await adapterOf('Grant').upsert('g', { jti: 'g' }, 10);
    await adapterOf('AccessToken').upsert('a', { grantId: 'g' }, 10);
    await adapterOf('RefreshToken').upsert('r', { grantId: 'g' }, 10);
    await adapterOf('AccessToken').revokeByGrantId('g');
    expect(await rows()).toBe(1);
    await adapterOf('Grant').destroy('g');
    expect(await rows()).toBe(0);
  });

  test('that have ended go, ten with each new one', async () => {
    for (let index = 0; index < 25; index += 1) {
      await adapterOf('Grant').upsert(`g${index}`, {}, 10);
    }
    nowMs += 10_000;
    const counts: number[] = [];
    for (let index = 0; index < 3; index += 1) {
      await adapterOf('Grant').upsert(`new${index}`, {}, 10);
      counts.push(await rows());
    }
    expect(counts).toEqual([16, 7, 3]);
  });

  test('that end by nothing end after a day', async () => {
    await adapterOf('Grant').upsert('g', {});
    nowMs += 86_400_000 - 1;
    expect(await adapterOf('Grant').find('g')).toEqual({});
    nowMs += 1;
    expect(await adapterOf('Grant').find('g')).toBeUndefined();
  });

  test('let a jti in once while it is remembered', async () => {
    const replays = adapterOf('ReplayDetection');
    await replays.upsert('j', { jti: 'j' }, 10);
    await expect(replays.upsert('j', { jti: 'j' }, 10)).rejects.toMatchObject({
      error: 'invalid_request',
    });
    nowMs += 10_000;
    await replays.upsert('j', { jti: 'j' }, 10);
  });

  test('that come at once are each written or refused for themselves, of one jti the first', async () => {
    const replays = adapterOf('ReplayDetection');
    const ids = Array.from({ length: 300 }, (_, index) => `j${index % 100}`);
    const taken = await Promise.allSettled(ids.map((jti) => replays.upsert(jti, { jti }, 10)));
    expect(taken.map(({ status }) => status === 'fulfilled')).toEqual(
      ids.map((_, index) => index < 100),
    );
    expect(await rows()).toBe(100);
  });

  test('of requests that are served together go to disk together, where that is ours to say', async () => {
    const { database } = authority;
    let transactions = 0;
    const counted: Database = {
      ...database,
      transaction(work) {
        transactions += 1;
        return database.transaction(work);
      },
    };
    const adapter = issuerAdapter(groupTransactions(counted), {
      now: () => nowMs,
      clientMetadata: () => undefined,
    });
    const replays = adapter('ReplayDetection');
    // Each from a callback of its own, as requests are: between two of them all promises that can be kept are kept.
    const written = Array.from(
      { length: 8 },
      (_, index) =>
        new Promise((resolve) => {
          setImmediate(() => resolve(replays.upsert(`turn${index}`, { jti: `turn${index}` }, 10)));
        }),
    );
    await Promise.all(written);
    expect(await rows()).toBe(8);
    expect(transactions).toBe(database.engine === 'sqlite' ? 1 : 8);
  });

  test('that cannot be written fail alone, whatever they are written with', async () => {
    const replays = adapterOf('ReplayDetection');
    const ids = ['first', 'a', undefined, 'b', 'a'] as string[];
    const taken = await Promise.allSettled(ids.map((jti) => replays.upsert(jti, {}, 10)));
    const isTaken = taken.map(({ status }) => status === 'fulfilled');
    expect(isTaken).toEqual([true, true, false, true, false]);
    await expect(replays.upsert('b', {}, 10)).rejects.toMatchObject({ error: 'invalid_request' });
    expect(await rows()).toBe(3);
  });

  test('hold no clients: those are the registered ones', async () => {
    const clients = adapterOf('Client');
    await clients.upsert('stranger', { client_id: 'stranger' });
    expect(await clients.find('stranger')).toBeUndefined();
    expect(await clients.find('known')).toEqual({ client_id: 'known' });
  });
});
