import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWorkloadClient } from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeBank, runAs } from '../node-bank.ts';

// Other users' processes, and process ids that are given again: that takes root.
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: processes of different users take root');
const root = test.skipIf(!isRoot);

const ID = 'spiffe://bank.example/workload';
const UIDS = [61_001, 61_002] as const;
const HERE = import.meta.dirname;

let bank: Awaited<ReturnType<typeof nodeBank>>;
let program: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  if (!isRoot) return;
  const executable = process.execPath;
  const digest = createHash('sha256')
    .update(await readFile(executable))
    .digest('hex');
  const entry = (name: string, selectors: string) =>
    `- { id: workload/${name}, owner: team, attest: [{ nodes: [workload/nodes/host], selectors: [${selectors}] }] }\n`;
  bank = await nodeBank(
    entry('first', `'unix:uid:${UIDS[0]}'`) +
      entry('second', `'unix:uid:${UIDS[1]}'`) +
      entry('by-path', `'unix:uid:${UIDS[1]}', 'unix:path:${executable}'`) +
      entry('by-hash', `'unix:gid:${UIDS[1]}', 'unix:sha256:${digest}'`) +
      entry('by-other-hash', `'unix:uid:${UIDS[1]}', 'unix:sha256:${'0'.repeat(64)}'`),
  );
  await chmod(bank.folder, 0o755);
  program = join(bank.folder, 'ask-inherited.mjs');
  await copyFile(join(HERE, 'ask-inherited.mjs'), program);
}, 60_000);
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await bank?.[Symbol.asyncDispose]();
});

root(
  'two users on one socket get their own identities only',
  async () => {
    const [first, second, nobody] = await Promise.all([
      fetchAs(UIDS[0]),
      fetchAs(UIDS[1]),
      fetchAs(61_003),
    ]);
    expect(first).toBe(`${ID}/first`);
    expect(second.split(' ').toSorted()).toEqual([
      `${ID}/by-hash`,
      `${ID}/by-path`,
      `${ID}/second`,
    ]);
    expect(nobody).toBe('ERR_SPIFFE_WORKLOAD_DENIED');
  },
  60_000,
);

root(
  'a connection outlives its process, and its identity does not',
  async () => {
    const { ask, end, pid } = await inherited('ends');
    expect(await ask()).toBe('an identity');
    await end();
    expect(await ask()).toBe('status 7');
    expect(pid).toBeGreaterThan(0);
  },
  60_000,
);

root(
  'a process that gets the number of one that ended gets nothing of its connection',
  async () => {
    const { ask, end, pid } = await inherited('reused');
    expect(await ask()).toBe('an identity');
    await end();
    const impostor = await processWithId(pid);
    expect(impostor.pid).toBe(pid);
    expect(await ask()).toBe('status 7');
  },
  120_000,
);

root(
  'five hundred streams are held, and each hears of a change',
  async () => {
    const clients = Array.from({ length: 500 }, () =>
      createWorkloadClient({ endpoint: `unix://${bank.socket}`, random: Math.random }),
    );
    const ended = new AbortController();
    const own = `- { id: workload/root, owner: team, attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:0'] }] }\n`;
    await bank.apply(own);
    let heard = 0;
    const watching = clients.map((client) =>
      client.watchX509Context({
        signal: ended.signal,
        onUpdate: ({ svids }) => {
          heard += svids.length;
        },
      }),
    );
    const until = async (count: number): Promise<void> => {
      const end = Date.now() + 30_000;
      while (heard < count && Date.now() < end) await sleep(50);
      expect(heard).toBe(count);
    };
    await until(500);
    await bank.apply(own + own.replace('workload/root', 'workload/root-2'));
    await until(1500);
    ended.abort();
    await Promise.all(watching);
    for (const client of clients) client.close();
  },
  120_000,
);

root(
  'one user cannot take the connections of another',
  async () => {
    // One after the other, or the socket's own queue is full first. This process is root, and has some already.
    const sockets: Socket[] = [];
    while (sockets.length < 1010) {
      const socket = connect(bank.socket);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      sockets.push(socket);
    }
    const closed = (): number =>
      sockets.filter(({ destroyed, readableEnded }) => destroyed || readableEnded).length;
    for (const socket of sockets) socket.resume();
    const end = Date.now() + 10_000;
    while (closed() < 10 && Date.now() < end) await sleep(20);
    expect(closed()).toBeGreaterThanOrEqual(10);
    expect(closed()).toBeLessThan(600);
    await bank.apply(
      `- { id: workload/first, owner: team, attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${UIDS[0]}'] }] }\n`,
    );
    expect(await fetchAs(UIDS[0])).toBe(`${ID}/first`);
    for (const socket of sockets) socket.destroy();
  },
  60_000,
);

/** What a process of another user gets. */
function fetchAs(uid: number): Promise<string> {
  return runAs(uid, [
    '/usr/bin/env',
    `SPIFFE_ENDPOINT_SOCKET=unix://${bank.socket}`,
    ...[process.execPath, '--conditions=@countersign/source', join(HERE, 'fetch-svid.ts')],
  ]);
}

/** A program that holds a connection which another process opened, that ends when it is told to. */
async function inherited(name: string) {
  const end = join(bank.folder, `${name}.end`);
  const file = join(bank.folder, `${name}.ask`);
  await writeFile(file, '');
  let asked = 0;
  const child = spawn(
    'python3',
    [join(HERE, 'inherited-connection.py'), bank.socket, process.execPath, program, end, file],
    { uid: UIDS[0], gid: UIDS[0], stdio: ['ignore', 'pipe', 'inherit'] },
  );
  started.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? '';
  const said = [await next(), await next()];
  const [pid = 0] = (said.find((line) => line !== 'ready') ?? '').split(' ').map(Number);
  return {
    pid,
    async ask(): Promise<string> {
      asked += 1;
      await writeFile(file, `${asked}`);
      return await next();
    },
    async end(): Promise<void> {
      const ended = once(child, 'exit');
      await writeFile(end, '');
      await ended;
    },
  };
}

/** Starts processes of the same user until one has this id. */
async function processWithId(pid: number): Promise<ChildProcess> {
  for (let tries = 0; tries < 200; tries++) {
    await writeFile('/proc/sys/kernel/ns_last_pid', `${pid - 1}`);
    const child = spawn('sleep', ['100'], { uid: UIDS[0], gid: UIDS[0], stdio: 'ignore' });
    started.push(child);
    if (child.pid === pid) return child;
    child.kill('SIGKILL');
  }
  throw new Error(`no process got id ${pid}`);
}
