import { openBundleStore, openDatabase } from '@countersign/state';
import { expect, test } from 'vitest';

test('keeps every bundle and gives the last one of a version', async () => {
  const database = openDatabase({ file: ':memory:' });
  const store = await openBundleStore(database);
  expect(store.current()).toBeUndefined();
  const seen: number[] = [];
  const stop = store.subscribe(({ sequence }) => seen.push(sequence));
  await store.put({ sequence: 1, version: 'v1', jws: 'a' });
  await store.put({ sequence: 2, version: 'v2', jws: 'b' });
  stop();
  await store.put({ sequence: 5, version: 'v1', jws: 'c' });
  expect(seen).toEqual([1, 2]);
  const reopened = await openBundleStore(database);
  for (const some of [store, reopened]) {
    expect(some.current()).toEqual({ sequence: 5, version: 'v1', jws: 'c' });
    expect(await some.bySequence(1)).toEqual({ sequence: 1, version: 'v1', jws: 'a' });
    expect(await some.bySequence(3)).toBeUndefined();
    expect(await some.byVersion('v1')).toMatchObject({ sequence: 5 });
    expect(await some.byVersion('v3')).toBeUndefined();
  }
});

test('refuses a sequence that is not above the last one', async () => {
  const store = await openBundleStore(openDatabase({ file: ':memory:' }));
  await store.put({ sequence: 7, version: 'v', jws: 'a' });
  for (const sequence of [7, 6, 0, -1, 7.5, Number.NaN]) {
    await expect(store.put({ sequence, version: 'v', jws: 'b' })).rejects.toMatchObject({
      code: 'ERR_STATE_BUNDLE_SEQUENCE',
    });
  }
  expect(store.current()?.jws).toBe('a');
});
