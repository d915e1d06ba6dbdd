import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRollingLog, shardFolders } from '@countersign/audit';
import { EXIT } from '@countersign/cli';
import { ed25519NoteSigner } from '@countersign/ledger';
import { compactId, type Event, encodeEvent } from '@countersign/model';
import { expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign as run } from './test-io.ts';

/** A gateway's log of 2017 and 2018, in shards of quarters, under the key that it enrols with. */
async function oldShards(edgeData: string): Promise<void> {
  const folder = join(edgeData, 'points', 'edge');
  mkdirSync(join(folder, 'keys'), { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(folder, 'keys', 'log.pem'), pem, { mode: 0o600 });
  const clock = { ms: 0 };
  const log = await openRollingLog({
    origin: 'bank.example/edge',
    signer: (name) => ed25519NoteSigner({ name, privateKey }),
    storage: shardFolders(join(folder, 'log')),
    ...{ length: () => 'quarter', now: () => clock.ms, newId: compactId },
    onTrouble: (detail) => {
      throw new Error(detail);
    },
  });
  for (const ms of [Date.UTC(2017, 1, 1), Date.UTC(2018, 1, 1), Date.UTC(2018, 4, 1)]) {
    clock.ms = ms;
    await log.look();
    for (const retention of ['reads', 'evidence']) {
      const place = { v: 1, id: compactId(), at: ms, origin: log.origin, seq: log.nextIndex };
      const event = { ...place, retention, kind: 'alarm', alarm: 'test', detail: 'secret of old' };
      log.append(encodeEvent(event as Event));
    }
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
}

interface Plan {
  readonly shards: { readonly name: string; readonly state: string; readonly holds: string[] }[];
  readonly removed: { readonly name: string; readonly removedAtMs?: number }[];
}

test('what is due goes, here and at the point; what a hold is on stays; all of it can be verified', async () => {
  await using bank = await startAuthorityAndEdge({ beforeEdge: oldShards });
  const { data, edgeData } = bank;
  const json = async <T>(...words: string[]): Promise<T> => {
    const { out, err, code } = await run([...words, '-d', data, '--json']);
    if (out === '') throw new Error(`${code}: ${err}`);
    return JSON.parse(out) as T;
  };
  const states = async () =>
    Object.fromEntries(
      (await json<Plan>('record', 'retention')).shards.map(({ name, state }) => [name, state]),
    );
  await expect.poll(async () => Object.keys(await states()).length, { timeout: 10_000 }).toBe(5);
  const states0 = await states();
  expect(states0).toMatchObject({
    ...{ authority: 'open', edge: 'due', 'edge@2018q1': 'due' },
    // It was closed when the gateway started, years later.
    'edge@2018q2': 'kept',
  });
  const current = Object.keys(states0).at(-1) ?? '';
  expect(states0[current]).toBe('open');

  const hold = await json<{ id: string }>(
    ...['record', 'hold', 'add', 'case 7', '--log', 'edge@2018q1', '--subject', 'human/alice'],
  );
  expect(hold.id).toBe('hold-1');
  expect(await states()).toMatchObject({ edge: 'due', 'edge@2018q1': 'held' });
  const folder = (name: string) => join(data, 'authority', 'logs', name);
  expect(readdirSync(folder('edge'))).toContain('00000000.log');

  // An export has to have passed it.
  await expect
    .poll(
      async () => (await json<{ removed: string[] }>('record', 'retention', '--apply')).removed,
      {
        timeout: 10_000,
      },
    )
    .toEqual(['edge']);
  expect(readdirSync(folder('edge')).sort()).toEqual([
    'lock',
    'proofs',
    'removed',
    'sealed',
    'vkey',
  ]);
  expect(existsSync(join(data, 'authority', 'index', 'edge'))).toBe(false);
  expect(readdirSync(folder('edge@2018q1'))).toContain('00000000.log');
  expect((await json<Plan>('record', 'retention')).removed).toMatchObject([{ name: 'edge' }]);

  // The point keeps a shard for three months that the authority has all of.
  const own = (name: string) => join(edgeData, 'points', 'edge', name);
  await expect.poll(() => readdirSync(own('log@2018q1')), { timeout: 10_000 }).toContain('removed');
  expect(readdirSync(own('log'))).not.toContain('00000000.log');

  const found = await run(['find', '-d', data, '--kind', 'alarm', '--complete']);
  expect(found.out).toContain('test');
  expect(found.err).toMatch(/the 3 entries of edge were removed on \d{4}-/);
  expect(found.err).toContain('complete: every entry was proven');
  expect(found.code).toBe(0);

  const told = await json<{ rows: { event: { action: string; target: string } }[] }>(
    ...['find', '--kind', 'administration', '--log', 'authority', '--limit', '1000'],
  ).then(JSON.stringify);
  for (const action of ['hold-added', 'log-removal-begun', 'log-removed']) {
    expect(told).toContain(`"action":"${action}"`);
  }

  await json('record', 'hold', 'lift', 'hold-1');
  const applied = await json<{ removed: string[] }>('record', 'retention', '--apply');
  expect(applied.removed).toEqual(['edge@2018q1']);

  for (const root of [data, edgeData]) {
    const verified = await run(['ledger', 'verify', '-d', root]);
    expect(verified.out).not.toContain('BAD');
    expect(verified.code).toBe(0);
    expect(verified.out).toContain('entries removed: its 3 leaf hashes');
  }
  // The live parts go on: nothing about a removed shard is an alarm.
  const alarms = await json<{ answer: { rows: { event: { alarm: string; detail: string } }[] } }>(
    ...['find', '--kind', 'alarm', '--log', 'authority'],
  );
  expect(alarms.answer.rows.map(({ event }) => `${event.alarm}: ${event.detail}`)).toEqual([]);

  // What is left is looked at, too.
  const tile = join(folder('edge'), 'proofs', 'tile', '0', '000.p', '3');
  const good = readFileSync(tile);
  writeFileSync(tile, Buffer.alloc(96));
  const bad = await run(['find', '-d', data, '--kind', 'alarm', '--complete']);
  expect(bad.code).toBe(1);
  expect(bad.err).toContain('problem: edge: log-damaged: checkpoint at byte 0');
  writeFileSync(tile, good);

  // A removal that was cut has left a segment: the next start finishes it.
  await bank.restartEdge(async () => writeFileSync(join(own('log'), '00000000.log'), 'left'));
  await expect
    .poll(() => readdirSync(own('log')), { timeout: 10_000 })
    .not.toContain('00000000.log');
  await expect
    .poll(async () => (await run(['status', '-d', data])).code, { timeout: 10_000 })
    .toBe(0);
  expect((await run(['record', 'hold', 'list', '-d', data])).out).toContain('no hold is in force');
  const onNothing = await run(['record', 'hold', 'add', 'case 8', '--log', 'egde', '-d', data]);
  expect(onNothing).toMatchObject({ code: 0, out: 'hold-2 is in force, on nothing\n' });
  expect(onNothing.err).toContain('no shard that is here has what hold-2 is on');
  const misspelt = await run(['record', 'hold', 'add', 'case 9', '--class', 'raeds', '-d', data]);
  expect([misspelt.code, misspelt.err]).toEqual([
    EXIT.failed,
    expect.stringContaining("found class 'raeds', expected one of evidence, reads"),
  ]);
  const shown = await run(['record', 'retention', '-d', data]);
  expect(shown.out).toMatch(/^class {4}evidence: \d+ \w+ \(/);
  const onAll = await run(['record', 'hold', 'add', 'case 9', '-d', data]);
  expect(onAll.out).toMatch(/^hold-3 is in force, on authority, edge/);
  expect((await run(['record', 'hold', 'lift', 'hold-9', '-d', data])).err).toContain(
    "no hold 'hold-9'",
  );
}, 60_000);
