import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, startChild } from '@countersign/cli';
import { afterAll, expect, test } from 'vitest';

const launcher = join(import.meta.dirname, '../bin/countersign.js');
const folder = mkdtempSync(join(tmpdir(), 'cs-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function launch(
  ...words: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [launcher, ...words], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

test('the launcher hands words, output and exit code through', async () => {
  const [help, unknown] = await Promise.all([launch('check', '--help'), launch('chekc')]);
  expect([help.code, help.err]).toEqual([EXIT.ok, '']);
  expect(help.out).toMatch(/^Usage: countersign check/);
  expect([unknown.code, unknown.out]).toEqual([EXIT.usage, '']);
  expect(unknown.err).toContain("did you mean 'check'?");
});

test('a child that never gets ready is told of with the end of what it printed', async () => {
  const command = [process.execPath, '-e', "console.error('no such port'); process.exit(7)"];
  await expect(
    startChild({ name: 'api', command, env: {}, logFile: join(folder, 'logs/api.txt') }),
  ).rejects.toThrow('cannot start api: exit code 7: no such port');
});

test('a child is ready when it says so, and stops when it is asked to', async () => {
  const command = [
    process.execPath,
    '-e',
    "process.on('SIGTERM', () => process.exit(0)); process.stdin.resume(); console.log(JSON.stringify({ ready: true, port: 1 }))",
  ];
  const child = await startChild({
    name: 'api',
    command,
    env: {},
    logFile: join(folder, 'api.txt'),
  });
  expect(child.ready).toMatchObject({ ready: true, port: 1 });
  await child.stop({ graceMs: 5000 });
  expect(await child.exited).toBe('exit code 0');
});
