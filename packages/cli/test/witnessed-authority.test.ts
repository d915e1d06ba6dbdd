import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  openCosignedCheckpoint,
  parseCosignerKey,
  parseVerifierKey,
  witnessPolicy,
} from '@countersign/ledger';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// One bank whose checkpoints two witnesses cosign; a third is never there.
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;
let data: string;
let logKey: string;
const witnesses: { vkeys: string[]; url: string; stop: () => Promise<Ran> }[] = [];

/** Starts a command that serves, and waits for its ready line. */
async function serve(
  words: readonly string[],
): Promise<{ ready: string; stop: () => Promise<Ran> }> {
  const controller = new AbortController();
  const ready = Promise.withResolvers<string>();
  const ran = countersign(words, { stop: controller.signal, onOut: ready.resolve });
  void ran.then(({ err }) => ready.reject(new Error(err)));
  return {
    ready: await ready.promise,
    stop: () => {
      controller.abort();
      return ran;
    },
  };
}

const authority = () => serve(['authority', '-C', bank, '-d', data]);

/** Asks until the answer is as wanted, or the test's time is over. */
async function until<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    await sleep(50);
  }
}

interface Status {
  checkpoints: {
    size: number;
    cosigned?: { size: number; by: { name: string }[]; note: string };
  };
}

async function status(): Promise<Status> {
  const { out } = await countersign(['status', '-d', data, '--json']);
  return JSON.parse(out) as Status;
}

async function alarms(): Promise<string> {
  return (await countersign(['events', '-d', data, '--kind', 'alarm', '--json'])).out;
}

beforeAll(async () => {
  folder = await temporaryFolder();
  bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const file = join(bank, 'countersign.yaml');
  const config = (await readFile(file, 'utf8'))
    .replace('7401', String(await freePort()))
    .replaceAll('7402', String(await freePort()));
  await writeFile(file, config);
  // The first start makes the log; its key goes to the witnesses, theirs come back.
  const first = await authority();
  await until(status, ({ checkpoints }) => checkpoints.size > 0);
  const { out } = await countersign(['status', '-d', data]);
  expect(out).toMatch(/\ncheckpoints {5}\d+ entries, no witnesses\n/);
  await first.stop();
  await cp(join(data, 'authority/checkpoints'), join(folder.path, 'backup'), { recursive: true });
  logKey = (await readFile(join(data, 'authority/checkpoints/vkey'), 'utf8')).trim();
  for (const name of ['w1.example', 'w2.example', 'w3.example']) {
    const own = join(folder.path, name);
    const { out: made } = await countersign(['witness', 'init', name, '-d', own]);
    const vkeys = made.trim().split('\n');
    const running = await serve(['witness', '-d', own, '--listen', '127.0.0.1:0', '--log', logKey]);
    const { url } = JSON.parse(running.ready) as { url: string };
    if (name === 'w3.example') await running.stop();
    witnesses.push({ vkeys, url, stop: running.stop });
  }
  const written = witnesses.map(({ url, vkeys }) => ({ url, vkey: vkeys }));
  const asked = `witnesses: ${JSON.stringify(written)}\n  witnessQuorum: 2\n  issuerUrl`;
  await writeFile(file, config.replace('issuerUrl', asked));
  expect(await countersign(['check', '-C', bank])).toMatchObject({ code: 0 });
}, 60_000);

afterAll(async () => {
  await Promise.all(witnesses.map((each) => each.stop()));
  await folder[Symbol.asyncDispose]();
});

test('has the checkpoints of all logs cosigned by the witnesses that are there, and keeps the proof', async () => {
  const running = await authority();
  const { checkpoints } = await until(
    status,
    (each) =>
      each.checkpoints.cosigned?.size === each.checkpoints.size && each.checkpoints.size > 1,
  );
  expect(checkpoints.cosigned?.by.map(({ name }) => name)).toEqual(['w1.example', 'w2.example']);
  const log = [parseVerifierKey(logKey)];
  const verifiers = witnesses.flatMap(({ vkeys }) => vkeys.map(parseCosignerKey));
  const policy = witnessPolicy({ quorum: 2, verifiers });
  const opened = openCosignedCheckpoint(checkpoints.cosigned?.note ?? '', { log, policy });
  expect(opened.origin).toBe('bank.example/authority/checkpoints');
  await until(alarms, (told) => told.includes('w3.example: unreachable'));
  expect(await alarms()).toContain('"alarm":"witness-unreachable"');
  const { out } = await countersign(['status', '-d', data]);
  expect(out).toMatch(
    /\ncheckpoints {5}\d+ entries, \d+ cosigned by w1\.example, w2\.example \(2 needed\)\n/,
  );
  expect(out).toMatch(/\n {2}w3\.example {2}cosigned nothing yet; unreachable \(\d+ tries\): /);
  await running.stop();
  // On disk it is as good as what was served, for whoever comes later.
  const kept = await readFile(join(data, 'authority/cosigned/checkpoint'), 'utf8');
  expect(openCosignedCheckpoint(kept, { log, policy }).size).toBeGreaterThanOrEqual(opened.size);
  const verified = await countersign(['ledger', 'verify', '-d', data]);
  expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('good  checkpoints: ') });
  const named = verifiers.flatMap(({ name }) => (name === 'w3.example' ? [] : [name]));
  const keys = witnesses.flatMap(({ vkeys }) => vkeys.flatMap((key) => ['--witness', key]));
  const held = await countersign(['ledger', 'verify', '-d', data, ...keys]);
  expect(held.out).toMatch(
    new RegExp(`note: cosigned up to entry \\d+ by ${[...new Set(named)].join(', ')}`),
  );
  expect(held.code).toBe(0);
  const configured = await countersign(['ledger', 'verify', '-d', data, '-C', bank]);
  expect(configured.out).toContain('note: cosigned up to entry ');
  expect(configured.code).toBe(0);
}, 60_000);

test('evidence of an event says which witnesses cosigned it, through the log of checkpoints', async () => {
  const running = await authority();
  const file = join(folder.path, 'evidence.json');
  const make = async () => {
    await countersign(['ledger', 'evidence', '0', '--log', 'authority', '-d', data, '-o', file]);
    return JSON.parse(await readFile(file, 'utf8')) as { entries: { role: string }[] };
  };
  // Published seconds after it was cosigned.
  await until(make, ({ entries }) => entries.some(({ role }) => role === 'entered'));
  await running.stop();
  const key = join(data, 'authority/log/vkey');
  const verify = async (by: readonly (typeof witnesses)[0][]) => {
    const keys = by.flatMap(({ vkeys }) => vkeys.flatMap((each) => ['--witness', each]));
    const words = ['ledger', 'verify', '--evidence', file, '--vkey', key, ...keys, '--json'];
    const { code, out } = await countersign(words);
    const { checks } = JSON.parse(out) as {
      checks: { role: string; part: string; result: string; detail: string }[];
    };
    const found = checks.filter(({ part }) => part === 'witness');
    return { code, found: found.map(({ role, result }) => `${role} ${result}`), checks };
  };
  const good = await verify(witnesses.slice(0, 2));
  expect([good.code, good.found]).toEqual([0, ['subject good', 'subject good']]);
  expect(good.checks).toContainEqual(
    expect.objectContaining({
      part: 'witness',
      detail: expect.stringMatching(
        /^entered in 'bank\.example\/authority\/checkpoints' at \d+, which is signed by 'w1\.example'/,
      ),
    }),
  );
  const absent = await verify(witnesses);
  expect([absent.code, absent.found.toSorted()]).toEqual([
    1,
    ['subject bad', 'subject good', 'subject good'],
  ]);
  // Without witnesses nobody asks what only they speak for.
  expect(await verify([])).toMatchObject({ code: 0, found: [] });
  const text = await readFile(file, 'utf8');
  const cut = JSON.parse(text) as { entries: { role: string }[] };
  cut.entries = cut.entries.filter(({ role }) => role !== 'entered');
  await writeFile(file, `${JSON.stringify(cut, undefined, 2)}\n`);
  expect((await verify(witnesses.slice(0, 2))).found).toEqual(['subject bad', 'subject bad']);
}, 60_000);

test('a log of checkpoints that was put back from a backup is found by itself and by its witnesses', async () => {
  await rm(join(data, 'authority/checkpoints'), { recursive: true });
  await cp(join(folder.path, 'backup'), join(data, 'authority/checkpoints'), { recursive: true });
  // Without anybody running, too: fewer entries than were cosigned.
  const verified = await countersign(['ledger', 'verify', join(data, 'authority/checkpoints')]);
  expect(verified.code).toBe(1);
  expect(verified.out).toContain('truncated');
  const running = await authority();
  const told = await until(
    alarms,
    (each) =>
      each.includes('"alarm":"checkpoint-log-rollback"') &&
      each.includes('w1.example: fork') &&
      each.includes('w2.example: fork'),
  );
  expect(told).toContain('"alarm":"witness-fork"');
  await running.stop();
}, 60_000);

test('a kept checkpoint that is damaged is told, and not shown as if it were good', async () => {
  const file = join(data, 'authority/cosigned/checkpoint');
  const kept = await readFile(file, 'utf8');
  await writeFile(file, kept.replace('\n', '\n1'));
  const running = await authority();
  await until(alarms, (told) => told.includes('the cosigned checkpoint that was kept: '));
  expect((await status()).checkpoints.cosigned).toBeUndefined();
  await running.stop();
}, 60_000);
