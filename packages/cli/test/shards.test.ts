import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRollingLog, shardFolders } from '@countersign/audit';
import {
  ed25519NoteSigner,
  nodeDisk,
  openLog,
  PROOFS_FOLDER,
  removeEntries,
  tileFolder,
  verifierKey,
} from '@countersign/ledger';
import { compactId, type Event, encodeEvent } from '@countersign/model';
import { expect, onTestFinished, test } from 'vitest';
import { countersign as run } from './test-io.ts';

const QUARTERS = [Date.UTC(2026, 10, 26), Date.UTC(2027, 0, 1), Date.UTC(2027, 3, 1)] as const;
const NAMES = ['edge', 'edge@2027q1', 'edge@2027q2'];
const { privateKey } = generateKeyPairSync('ed25519');
const signerOf = (name: string) => ed25519NoteSigner({ name, privateKey });

/** A data folder with a point's log in three shards; a request is in flight at each turn. */
async function threeShards() {
  const data = mkdtempSync(join(tmpdir(), 'countersign-shards-'));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const first = join(data, 'points', 'edge', 'log');
  const clock = { ms: QUARTERS[0] as number };
  const log = await openRollingLog({
    ...{ origin: 'bank.example/edge', signer: signerOf, storage: shardFolders(first) },
    ...{ length: () => 'quarter', now: () => clock.ms, newId: compactId },
    onTrouble: (detail) => {
      throw new Error(detail);
    },
  });
  const append = (body: object) => {
    const place = { v: 1, at: clock.ms, origin: log.origin, seq: log.nextIndex };
    log.append(encodeEvent({ ...place, ...body } as Event));
  };
  for (const [at, ms] of QUARTERS.entries()) {
    clock.ms = ms;
    await log.look();
    if (at > 0)
      append({ kind: 'outcome', id: `flight-${at}`, status: 200, forwarded: true, bytes: 1 });
    for (const id of [`a${at}`, `flight-${at + 1}`].slice(0, at < 2 ? 2 : 1)) {
      append({
        ...{ kind: 'decision', id, effect: 'permit', enforced: true, reason: 'policy-permits' },
        ...{ policyVersion: 'v', factSequence: 1, subject: 'spiffe://bank.example/human/alice' },
      });
    }
    append({ kind: 'outcome', id: `a${at}`, status: 200, forwarded: true, bytes: 1 });
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
  const folderOf = (name: string) => first + name.slice('edge'.length);
  return { data, folderOf };
}

const verify = async (data: string, ...more: string[]) => {
  const { code, out } = await run(['ledger', 'verify', '--data', data, '--json', ...more]);
  const logs: { name: string; ok: boolean; problems: string[]; notes: string[] }[] =
    JSON.parse(out).logs;
  return { code, logs, bad: logs.filter(({ ok }) => !ok) };
};

test('ledger verify follows a request over a turn, and finds the shards whole', async () => {
  const { data } = await threeShards();
  const { code, logs, bad } = await verify(data);
  expect(bad).toEqual([]);
  expect(code).toBe(0);
  expect(logs.map(({ name }) => name)).toEqual(NAMES);
});

test('one key that an auditor brings is for all shards', async () => {
  const { data } = await threeShards();
  const vkey = verifierKey('bank.example/edge', privateKey);
  expect((await verify(data, '--vkey', vkey)).bad).toEqual([]);
  const other = verifierKey('bank.example/edge', generateKeyPairSync('ed25519').privateKey);
  expect((await verify(data, '--vkey', other)).bad.map(({ name }) => name)).toEqual(
    expect.arrayContaining(NAMES),
  );
});

test.each([
  ['edge', 'shard-missing', '4 entries'],
  ['edge@2027q1', 'shard-missing', '6 entries'],
  ['edge@2027q2', 'shard-unreached', "'bank.example/edge@2027q1' goes on in"],
])('ledger verify misses the shard %s when it was dropped whole', async (name, code, says) => {
  const { data, folderOf } = await threeShards();
  rmSync(folderOf(name), { recursive: true });
  const verified = await verify(data);
  expect(verified.code).toBe(1);
  expect(verified.bad).toMatchObject([{ name, problems: [expect.stringContaining(says)] }]);
  expect(verified.bad[0]?.problems[0]).toContain(code);
});

test('ledger verify finds an old shard that was written anew under its own key', async () => {
  const { data, folderOf } = await threeShards();
  rmSync(folderOf('edge'), { recursive: true });
  const origin = 'bank.example/edge';
  const disk = nodeDisk(folderOf('edge'));
  const log = await openLog({ origin, signer: signerOf(origin), disk, now: Date.now });
  for (let seq = 0; seq < 5; seq++) {
    const place = { v: 1, id: `${seq}`, at: QUARTERS[0], origin, seq } as const;
    log.append(encodeEvent({ ...place, kind: 'alarm', alarm: 'x', detail: 'forged' }));
  }
  await log.close();
  const { bad } = await verify(data);
  expect(bad).toMatchObject([{ name: 'edge' }, { name: 'edge@2027q1' }]);
  expect(bad[0]?.problems[0]).toMatch(/^shard-other: found another tree of 5 entries/);
});

test('a copy that has not got all yet is not bad', async () => {
  const { data, folderOf } = await threeShards();
  const mirror = (name: string) => join(data, 'authority', 'logs', name);
  for (const name of NAMES.slice(0, 2)) cpSync(folderOf(name), mirror(name), { recursive: true });
  const { bad, logs } = await verify(data);
  expect(bad).toEqual([]);
  expect(logs.at(-1)).toMatchObject({
    name: 'edge@2027q1 (collected)',
    notes: [expect.stringContaining('shard-unreached')],
  });
});

test('evidence of a decision takes its outcome from the next shard', async () => {
  const { data } = await threeShards();
  const file = join(data, 'evidence.json');
  const words = ['ledger', 'evidence', '1', '--data', data, '--log', 'edge', '--out', file];
  expect((await run(words)).out).toContain('with its outcome');
  const { entries } = JSON.parse(readFileSync(file, 'utf8'));
  expect(JSON.stringify(entries)).toContain('edge@2027q1');
  const vkey = verifierKey('bank.example/edge', privateKey);
  const checked = await run(['ledger', 'verify', '--evidence', file, '--vkey', vkey]);
  expect(checked.out).not.toContain('bad');
});

test('find asks all shards under the name of the log, and one under its own', async () => {
  const { data } = await threeShards();
  const count = async (...words: string[]) => {
    const { out } = await run(['find', '--data', data, '--kind', 'decision', '--json', ...words]);
    return JSON.parse(out).answer?.count ?? JSON.parse(out).count;
  };
  expect(await count()).toBe(5);
  expect(await count('--log', 'edge')).toBe(5);
  expect(await count('--log', 'edge@2027q1')).toBe(2);
  expect((await run(['find', '--data', data, '--complete'])).code).toBe(0);
});

test('events come in the order of time, out of all shards', async () => {
  const { data } = await threeShards();
  const { out } = await run(['events', '--data', data, '--json']);
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events).toHaveLength(4 + 6 + 4);
  expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).toSorted((a, b) => a - b));
});

test('a shard that its point has removed is read from the copy of the authority', async () => {
  const { data, folderOf } = await threeShards();
  for (const name of NAMES) {
    cpSync(folderOf(name), join(data, 'authority', 'logs', name), { recursive: true });
  }
  const own = folderOf('edge');
  await removeEntries(nodeDisk(own), tileFolder(join(own, PROOFS_FOLDER)), {
    verifierKey: verifierKey('bank.example/edge', privateKey),
  });
  const lines = async (...words: string[]) => {
    const { out, err } = await run([...words, '--data', data]);
    expect(err).not.toContain('were removed');
    return out.trim().split('\n').length;
  };
  expect(await lines('events', '--json')).toBe(4 + 6 + 4);
  expect(await lines('export', 'ocsf')).toBe(4 + 6 + 4);
  expect(await lines('find', '--kind', 'decision', '--count')).toBe(1);
  const made = await run(['ledger', 'evidence', '0', '--data', data, '--log', 'edge']);
  expect(made.code).toBe(0);
  const { bad, logs } = await verify(data);
  expect(bad).toEqual([]);
  expect(logs[0]?.notes[0]).toMatch(/^entries removed/);
});

test('where the copy was removed too, events and exports pass the shard over, and find says so', async () => {
  const { data, folderOf } = await threeShards();
  const own = folderOf('edge@2027q1');
  await removeEntries(nodeDisk(own), tileFolder(join(own, PROOFS_FOLDER)), {
    verifierKey: verifierKey('bank.example/edge@2027q1', privateKey),
  });
  for (const words of [
    ['events', '--json'],
    ['export', 'ocsf'],
  ]) {
    const { out, code } = await run([...words, '--data', data]);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(4 + 4);
  }
  const found = await run(['find', '--kind', 'decision', '--data', data]);
  expect(found.err).toMatch(/the 6 entries of edge@2027q1 were removed on \d{4}/);
  // The chain goes through what is left of it.
  expect((await verify(data)).bad).toEqual([]);
});
