import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProcessAttestor, systemdUnitOf } from '@countersign/identity/attestation';
import { afterEach, describe, expect, test } from 'vitest';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'attest-')));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const attestor = createProcessAttestor({ wantsHash: () => false });
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Selectors of a command once it is the executable at `path`. */
async function selectorsOf(command: string, words: readonly string[], path: string) {
  const child = spawn(command, words, { stdio: 'ignore' });
  children.push(child);
  const { pid = 0 } = child;
  await expect.poll(() => readlinkSync(`/proc/${pid}/exe`), { timeout: 5000 }).toBe(path);
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const found = await attestor.attest({ pid, uid, gid });
  await found.close();
  return [...found.selectors];
}

const isLinux = process.platform === 'linux';
const canUnshare = (() => {
  try {
    execFileSync('unshare', ['-Urm', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
if (!canUnshare)
  console.log('skipped: a mount namespace, which takes unshare(1) and user namespaces');

test.runIf(isLinux)('a process has the path of its executable', async () => {
  const sleep = realpathSync('/bin/sleep');
  expect(await selectorsOf(sleep, ['60'], sleep)).toContain(`unix:path:${sleep}`);
});

test.runIf(canUnshare)(
  'one that put another file at a path, in a mount namespace of its own, does not have that path',
  async () => {
    const path = join(folder, 'payments-api');
    copyFileSync('/bin/true', path);
    const script = `mount --bind /bin/sleep ${path} && exec ${path} 60`;
    const selectors = await selectorsOf('unshare', ['-Urm', 'sh', '-c', script], path);
    expect(selectors.filter((each) => each.startsWith('unix:path:'))).toEqual([]);
  },
);

test.runIf(canUnshare)(
  'one that is in a mount namespace of its own, and runs what is there for all, has its path',
  async () => {
    const path = join(folder, 'sleeper');
    copyFileSync('/bin/sleep', path);
    const selectors = await selectorsOf('unshare', ['-Urm', path, '60'], path);
    expect(selectors).toContain(`unix:path:${path}`);
  },
);

describe('the unit of a process', () => {
  test.each([
    ['a service', '0::/system.slice/payments.service\n', 'payments.service'],
    ['below slices', '0::/system.slice/system-pay.slice/pay@1.service\n', 'pay@1.service'],
    ['what a service was delegated', '0::/system.slice/a.service/payments.service\n', 'a.service'],
    ['v1', '12:cpu:/\n1:name=systemd:/system.slice/payments.service\n', 'payments.service'],
    [
      'v1 beside an unused v2',
      '1:name=systemd:/system.slice/payments.service\n0::/\n',
      'payments.service',
    ],
    ['both', '1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n', 'a.service'],
  ])('is that of %s', (_, text, unit) => {
    expect(systemdUnitOf(text)).toBe(unit);
  });

  test.each([
    ['a scope', '0::/system.slice/docker-abc.scope/payments.service\n'],
    [
      'a scope in v1',
      '1:name=systemd:/system.slice/docker-abc.scope/system.slice/payments.service\n',
    ],
    [
      "a user's manager",
      '0::/user.slice/user-1001.slice/user@1001.service/app.slice/payments.service\n',
    ],
    ['another slice', '0::/machine.slice/payments.service\n'],
    ['a slice that only looks so', '0::/system.slice.d/payments.service\n'],
    [
      'two that contradict',
      '1:name=systemd:/system.slice/payments.service\n0::/user.slice/a.service\n',
    ],
    ['neither', '5:cpu:/system.slice/payments.service\n'],
  ])('is none of %s', (_, text) => {
    expect(systemdUnitOf(text)).toBeUndefined();
  });
});
