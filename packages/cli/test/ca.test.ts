import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeBank } from './node-bank.ts';

let bank: Awaited<ReturnType<typeof nodeBank>>;
beforeAll(async () => {
  bank = await nodeBank('');
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

const show = async () => JSON.parse((await bank.onAuthority('ca', 'show', '--json')).out);

test('smoke', async () => {
  console.log((await bank.onAuthority('ca', 'show')).out);
  for (const kind of ['x509', 'jwt']) {
    const [first] = (await show())[kind].authorities;
    console.log((await bank.onAuthority('ca', 'prepare', kind)).out);
    console.log((await bank.onAuthority('ca', 'activate', kind)).out);
    console.log((await bank.onAuthority('ca', 'show', kind)).out);
    console.log(await bank.onAuthority('ca', 'taint', kind, first.id, '--reason', 'drill'));
    console.log((await bank.onAuthority('ca', 'show', kind)).out);
    console.log(await bank.onAuthority('ca', 'revoke', kind, first.id, '--reason', 'drill'));
  }
  console.log((await bank.onAuthority('ca', 'show')).out);
  console.log((await bank.onAuthority('find', '--kind', 'administration')).out);
  expect(EXIT.ok).toBe(0);
});
