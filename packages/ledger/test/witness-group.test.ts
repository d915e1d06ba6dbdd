import {
  type CosignerKey,
  cosign,
  cosignatureVerifier,
  createWitnessGroup,
  httpWitnessPost,
  logProofs,
  openCosignedCheckpoint,
  type WitnessGroup,
  type WitnessGroupOptions,
  type WitnessPost,
  type WitnessTrouble,
  witnessPolicy,
} from '@countersign/ledger';
import { afterAll, expect, test } from 'vitest';
import { codeOf, witnessKeys } from './support/cosigned.ts';
import { History } from './support/histories.ts';
import { MemoryDisk } from './support/memory-disk.ts';
import { appendCommits, must, openSample, verifier } from './support/sample-log.ts';
import { startWitness, type WitnessServer } from './support/witness-server.ts';

const now = () => 1_760_000_000_000;
const names = ['w1', 'w2', 'w3'].map((each) => `witness.example/${each}`);
const keysOf = names.map((name, at) => witnessKeys(name, 51 + at));
const verifiers = keysOf.flat().map(cosignatureVerifier);
const { post, close } = httpWitnessPost();
afterAll(close);

/** A group under test: what it gave out and told, and a way to wait for it. */
function groupOf(
  urls: readonly string[],
  options: Partial<WitnessGroupOptions> & Pick<WitnessGroupOptions, 'prove'> & { quorum: number },
) {
  const given: { size: number; names: string[]; note: string }[] = [];
  const troubles: [string, WitnessTrouble | undefined][] = [];
  const rests: (() => void)[] = [];
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const policy = witnessPolicy({ quorum: options.quorum, verifiers });
  const group = createWitnessGroup({
    log: [verifier],
    policy,
    urls: new Map(names.map((name, at) => [name, must(urls[at])])),
    post,
    now,
    onCosigned: (note) => {
      const { size, cosignatures } = openCosignedCheckpoint(note, { log: [verifier], policy });
      given.push({ size, names: cosignatures.map(({ name }) => name), note });
      change();
    },
    onTrouble: (name, trouble) => {
      troubles.push([name, trouble]);
      change();
    },
    // A back-off ends when the test says so.
    wait: (_milliseconds, signal) =>
      new Promise((resolve, reject) => {
        rests.push(resolve);
        signal.addEventListener('abort', reject);
        change();
      }),
    ...options,
  });
  const until = async (holds: () => boolean) => {
    while (!holds()) await changed.promise;
  };
  return { group, given, troubles, rests, until };
}

async function startAll(): Promise<{ servers: WitnessServer[]; stopAll: () => Promise<void> }> {
  const servers = await Promise.all(keysOf.map((keys) => startWitness(keys, { now })));
  const stopAll = async () => void (await Promise.all(servers.map((each) => each.close())));
  return { servers, stopAll };
}

async function growingLog() {
  const log = await openSample(new MemoryDisk());
  const proofs = logProofs(log);
  return { log, prove: (from: number, to: number) => proofs.consistency(from, to) };
}

test('has the checkpoints of a growing log cosigned by all of its witnesses', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const urls = servers.map(({ url }) => url);
  const { group, given, until } = groupOf(urls, { prove, quorum: 3 });
  for (let round = 1; round <= 5; round++) {
    await appendCommits(log, [100]);
    group.submit(log.checkpoint());
    await until(() => given.at(-1)?.size === round * 100);
  }
  expect(given.map(({ size }) => size)).toEqual([100, 200, 300, 400, 500]);
  expect(given.every((each) => each.names.length === 3)).toBe(true);
  // It remembers where each stood: after the first none had to say 409.
  for (const { answers } of servers)
    expect(answers.every(({ kind }) => kind === 'cosigned')).toBe(true);
  expect(group.status()).toMatchObject(names.map((name) => ({ name, cosignedSize: 500 })));
  await group.close();
  await log.close();
  await stopAll();
});

test('is held back by no witness that is silent, lying or away, as long as the quorum is there', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const silent = 'http://silent';
  const lying = 'http://lying';
  const badPost: WitnessPost = async (url, body, options) => {
    if (url.startsWith(silent)) return new Promise(() => undefined);
    if (!url.startsWith(lying)) return post(url, body, options);
    // It signs another tree than it was shown, with its own good key.
    const text = `${body.slice(body.indexOf('\n\n') + 2).split('\n\n')[0]}\n`;
    const other = text.replace(/\n[0-9]+\n/, '\n7\n');
    const [key] = must(keysOf[1]) as readonly CosignerKey[];
    const line = await cosign(other, { key: must(key), atSeconds: now() / 1000 });
    return { status: 200, contentType: 'text/plain', body: Buffer.from(line) };
  };
  const { group, given, troubles, until } = groupOf([must(servers[0]).url, lying, silent], {
    ...{ prove, quorum: 1, post: badPost },
  });
  for (let round = 1; round <= 5; round++) {
    await appendCommits(log, [10]);
    group.submit(log.checkpoint());
    await until(() => given.at(-1)?.size === round * 10);
  }
  expect(given.every((each) => each.names.join() === names[0])).toBe(true);
  expect(given.every(({ note }) => !note.includes(`\u2014 ${names[1]}`))).toBe(true);
  expect(troubles[0]).toMatchObject([names[1], { code: 'invalid', attempts: 1 }]);
  await group.close();
  await log.close();
  await stopAll();
});

test('adds the cosignature of a slower witness to the checkpoint that it was asked for', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const gate = Promise.withResolvers<void>();
  const slow = must(servers[2]).url;
  const slowPost: WitnessPost = async (url, ...rest) => {
    if (url.startsWith(slow)) await gate.promise;
    return post(url, ...rest);
  };
  const urls = servers.map(({ url }) => url);
  const { group, given, until } = groupOf(urls, { prove, quorum: 2, post: slowPost });
  await appendCommits(log, [10]);
  group.submit(log.checkpoint());
  await until(() => given.length === 1);
  expect(given[0]?.names).toEqual(names.slice(0, 2));
  gate.resolve();
  await until(() => given.length === 2);
  expect(given[1]).toMatchObject({ size: 10, names });
  await group.close();
  await log.close();
  await stopAll();
});

test('shows one checkpoint until it has its quorum, so that witnesses of different speed meet', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const waiting: (() => void)[] = [];
  const gated: WitnessPost = async (url, ...rest) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return post(url, ...rest);
  };
  const urls = servers.map(({ url }) => url);
  const { group, given, until } = groupOf(urls, { prove, quorum: 3, post: gated });
  for (let round = 1; round <= 10; round++) {
    await appendCommits(log, [10]);
    group.submit(log.checkpoint());
  }
  // Proofs are made first: a few turns until all three ask.
  while (waiting.length < 3) await new Promise((resolve) => setImmediate(resolve));
  for (const go of waiting.splice(0)) go();
  await until(() => given.length === 1);
  while (waiting.length < 3) await new Promise((resolve) => setImmediate(resolve));
  for (const go of waiting.splice(0)) go();
  await until(() => given.length === 2);
  // The eight between were never shown.
  expect(given.map(({ size }) => size)).toEqual([10, 100]);
  await group.close();
  await log.close();
  await stopAll();
});

test('tells trouble with each try, rests longer each time, and goes on when the witness is back', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const urls = servers.map(({ url }) => url);
  const waits: number[] = [];
  let isAway = true;
  const flaky: WitnessPost = async (url, ...rest) => {
    if (isAway && url.startsWith(must(urls[0]))) throw new Error('ECONNREFUSED');
    return post(url, ...rest);
  };
  const rests: (() => void)[] = [];
  const { group, given, troubles, until } = groupOf(urls, {
    ...{ prove, quorum: 3, post: flaky, random: () => 1 },
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      if (waits.length === 9) await new Promise<void>((resolve) => rests.push(resolve));
    },
  });
  await appendCommits(log, [10]);
  group.submit(log.checkpoint());
  await until(() => troubles.length === 9);
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  expect(group.status()[0]).toMatchObject({
    cosignedSize: undefined,
    trouble: { code: 'unreachable', detail: 'ECONNREFUSED', attempts: 9 },
  });
  isAway = false;
  while (rests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  must(rests[0])();
  await until(() => given.length === 1);
  expect(troubles.at(-1)).toEqual([names[0], undefined]);
  expect(group.status()[0]).toMatchObject({ cosignedSize: 10, trouble: undefined });
  await group.close();
  await log.close();
  await stopAll();
});

test('goes on to the next checkpoint when the one before can get no quorum', async () => {
  const { servers, stopAll } = await startAll();
  const { log, prove } = await growingLog();
  const liar = new History('liar', { size: 40, forkAt: 2 });
  const forked = must(servers[1]);
  await forked.witness.addCheckpoint(await liar.request(0, 5));
  const urls = servers.map(({ url }) => url);
  const { group, given, troubles, rests, until } = groupOf(urls, { prove, quorum: 3 });
  await appendCommits(log, [10]);
  group.submit(log.checkpoint());
  await until(() => troubles.length === 1 && rests.length === 1);
  expect(troubles[0]).toMatchObject([forked.keys[0]?.name, { code: 'fork' }]);
  await appendCommits(log, [10]);
  group.submit(log.checkpoint());
  const shownAll = () =>
    [0, 2].every((at) => servers[at]?.witness.checkpoint(log.origin)?.includes('\n20\n'));
  while (!shownAll()) await new Promise((resolve) => setImmediate(resolve));
  expect(given).toEqual([]);
  await group.close();
  await log.close();
  await stopAll();
});

test('takes no checkpoint that its log did not sign, and no policy whose witnesses it cannot reach', async () => {
  const { log, prove } = await growingLog();
  const { group } = groupOf(['http://127.0.0.1:1', 'http://127.0.0.1:1', 'http://127.0.0.1:1'], {
    ...{ prove, quorum: 1 },
  });
  const forged = log.checkpoint().replace('\n0\n', '\n1\n');
  expect(await codeOf(() => group.submit(forged))).toBe('ERR_LEDGER_NOTE_UNVERIFIED');
  await group.close();
  const make = (): WitnessGroup =>
    createWitnessGroup({
      log: [verifier],
      policy: witnessPolicy({ quorum: 1, verifiers }),
      urls: new Map(),
      ...{ prove, post, now, onCosigned: () => undefined },
    });
  expect(await codeOf(make)).toBe('ERR_LEDGER_OPTION');
  await log.close();
});
