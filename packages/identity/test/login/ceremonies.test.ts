import { migrate, openDatabase } from '@countersign/state';
import { afterEach, beforeEach, expect, test } from 'vitest';
// Five thousand challenges by the front door would be five thousand pages.
import { Ceremonies } from '../../src/passkeys/ceremonies.ts';
import { migrations } from '../../src/tables.ts';

const database = openDatabase({ file: ':memory:' });
let ceremonies: Ceremonies;
beforeEach(async () => {
  await migrate(database, { room: 'identity', migrations });
  await database.tables<{ ceremony: object }>().deleteFrom('ceremony').execute();
  ceremonies = new Ceremonies({ database, now: Date.now });
});
afterEach(async () => {
  await database.tables<{ ceremony: object }>().deleteFrom('ceremony').execute();
});

const begin = (boundTo: string, ip: string) => ceremonies.begin('login', boundTo, { ip });
const end = (challenge: string, boundTo: string) =>
  ceremonies.end(challenge, { purpose: 'login', boundTo });

test('whoever begins logins without end pushes out their own challenges, and nobody else’s', async () => {
  const alice = await begin('alice', '192.0.2.1');
  const first = await begin('flood 0', '2001:db8::1');
  for (let times = 1; times <= 5001; times += 1) {
    // Of one /64, however many addresses.
    await begin(`flood ${times}`, `2001:db8::${times.toString(16)}`);
  }
  expect(await end(first, 'flood 0')).toBe(false);
  expect(await end(alice, 'alice')).toBe(true);
}, 60_000);

test('when all room is taken it is the largest network that loses', async () => {
  const alice = await begin('alice', '192.0.2.1');
  const row = (index: number) => ({
    challenge: `c${index}`,
    purpose: 'login',
    bound_to: `b${index}`,
    // Twelve networks, none above its own bound; the first has a few more.
    network: index < 4500 ? 'n0' : `n${1 + (index % 11)}`,
    expires_ms: Date.now() + 200_000 + index,
  });
  const tables = database.tables<{ ceremony: ReturnType<typeof row> }>();
  for (let done = 0; done < 50_000; done += 1000) {
    const rows = Array.from({ length: 1000 }, (_, index) => row(done + index));
    await tables.insertInto('ceremony').values(rows).execute();
  }
  const bob = await begin('bob', '198.51.100.7');
  const left = await tables
    .selectFrom('ceremony')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('network', '=', 'n0')
    .executeTakeFirstOrThrow();
  expect(Number(left.count)).toBe(4400);
  expect([await end(alice, 'alice'), await end(bob, 'bob')]).toEqual([true, true]);
});
