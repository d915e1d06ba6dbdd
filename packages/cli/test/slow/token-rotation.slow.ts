import { setTimeout as sleep } from 'node:timers/promises';
import { decodeProtectedHeader } from 'jose';
import { expect, test } from 'vitest';
import { underLoad, until } from '../rotating-bank.ts';
import { tokenBank } from '../token-bank.ts';

/** By its schedule alone: a key that signs access tokens for 30 s. */
test('two rotations of the keys of access tokens go by under load, and no token is refused', async () => {
  await using bank = await tokenBank({ ca: '{ tokenLifetime: 30s }' });
  const first = await bank.token();
  const kids = new Set<unknown>();
  const load = underLoad(async () => {
    const fresh = await bank.token();
    kids.add(decodeProtectedHeader(fresh).kid);
    // A client that asks more often than the issuer bounds (32 a second) is refused for that.
    await sleep(100);
    return bank.call(fresh);
  }, 2);
  const held = underLoad(() => bank.call(first), 1);
  await until(() => kids.size === 3, 'three keys have signed', 120_000);
  await Promise.all([load.stop(), held.stop()]);
  expect([load.wrong, held.wrong]).toEqual([[], []]);
  console.log(`${load.calls()} tokens and calls over ${kids.size - 1} rotations, none refused`);
}, 180_000);
