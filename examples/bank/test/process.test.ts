import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { JOURNAL_FILE, SERVICES } from '@countersign/example-bank';
import { Agent, request } from 'undici';
import { afterAll, expect, test, vi } from 'vitest';

// Starting a process takes seconds where others build at the same time.
vi.setConfig({ testTimeout: 60_000 });

const folder = mkdtempSync(join(tmpdir(), 'bank-process-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(name: string, extra: readonly string[] = []): ChildProcess {
  const entry = SERVICES.find((service) => service.name === name)?.entry ?? '';
  const socket = join(folder, `${name}.sock`);
  const words = ['--socket', socket, '--data', join(folder, name), ...extra];
  const child = spawn(process.execPath, ['--conditions=@countersign/source', entry, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '' },
  });
  children.push(child);
  return child;
}

async function lineOf(stream: NodeJS.ReadableStream | null): Promise<Record<string, string>> {
  if (!stream) throw new Error('no stream');
  const lines = createInterface({ input: stream });
  const [line] = await once(lines, 'line');
  return JSON.parse(line);
}

async function book(agent: Agent, reference: string): Promise<number> {
  const { statusCode, body } = await request('http://core/core/accounts/22289/postings', {
    method: 'POST',
    dispatcher: agent,
    body: JSON.stringify({ reference, amount: -100, text: 'test' }),
  });
  await body.dump();
  return statusCode;
}

test('the core says when it is ready, listens privately, and loses nothing that it told when killed', async () => {
  const socketPath = join(folder, 'core.sock');
  const first = start('core');
  expect(await lineOf(first.stdout)).toEqual({ ready: 'core', socket: socketPath });
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  const agent = new Agent({ connect: { socketPath }, connections: 8 });
  const told: string[] = [];
  const bookings = Array.from({ length: 60 }, async (_, index) => {
    const reference = `kill-${index}`;
    // The kill breaks some of these off: nobody was told of them.
    const status = await book(agent, reference).catch(() => 0);
    if (status === 201) told.push(reference);
    if (told.length === 20) first.kill('SIGKILL');
  });
  await Promise.all(bookings);
  await agent.destroy();
  const second = start('core');
  await lineOf(second.stdout);
  const text = readFileSync(join(folder, 'core', JOURNAL_FILE), 'utf8');
  const kept = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).reference);
  expect(told.length).toBeGreaterThanOrEqual(20);
  expect(kept).toEqual(expect.arrayContaining(told));
  expect(new Set(kept).size).toBe(kept.length);
  const again = new Agent({ connect: { socketPath } });
  expect(await book(again, told[0] ?? '')).toBe(201);
  await again.destroy();
  second.kill('SIGTERM');
  expect(await once(second, 'exit')).toEqual([0, null]);
});

test.each([
  ['accounts', 'core'],
  ['payments', 'accounts'],
])('%s does not start without an identity', async (name, point) => {
  const extra = [
    `--${point}-origin`,
    'https://127.0.0.1:1',
    `--${point}-id`,
    `spiffe://x/workload/${point}`,
  ];
  const child = start(name, extra);
  const exit = once(child, 'exit');
  const line = await lineOf(child.stderr);
  expect(line['failed']).toBe(name);
  expect(line['why']).toContain('could not get an identity');
  expect(await exit).toEqual([1, null]);
});

test('a service that is given too little says what is missing', async () => {
  const child = start('payments');
  const exit = once(child, 'exit');
  expect((await lineOf(child.stderr))['why']).toBe(
    'could not start: found no --accounts-origin, --accounts-id',
  );
  expect(await exit).toEqual([1, null]);
});
