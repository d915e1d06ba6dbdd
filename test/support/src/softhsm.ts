import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MODULE = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
].find((file) => existsSync(file));

/** Why these tests cannot run, printed; in CI they must. */
export function missingSoftHsm(...tools: readonly string[]): boolean {
  const absent = [
    ...(MODULE === undefined ? ['SoftHSM (Debian: softhsm2)'] : []),
    ...['cc', ...tools].filter((tool) => spawnSync(tool, ['--version']).error !== undefined),
  ];
  if (absent.length === 0) return false;
  const message = `tests of PKCS#11 are skipped: found no ${absent.join(', ')}`;
  console.warn(message);
  if (process.env['CI']) throw new Error(message);
  return true;
}

export const PIN = 'a pin of tokens';

/** SoftHSM with tokens of this process, and a module before it that does badly what it is told. */
export function newSoftHsm() {
  const folder = mkdtempSync(join(tmpdir(), 'softhsm-'));
  const tokens = join(folder, 'tokens');
  mkdirSync(tokens);
  const config = join(folder, 'softhsm2.conf');
  writeFileSync(
    config,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  // Of its own, for a module is initialised once a process, and reads its configuration then.
  const module = join(folder, 'softhsm2.so');
  copyFileSync(MODULE ?? '', module);
  const orders = join(folder, 'orders');
  writeFileSync(orders, '');
  process.env['SOFTHSM2_CONF'] = config;
  process.env['FAULTY_REAL'] = module;
  process.env['FAULTY_ORDERS'] = orders;
  const faulty = join(folder, 'faulty.so');
  const source = join(import.meta.dirname, 'faulty-module.c');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', faulty, source, '-ldl']);
  return {
    folder,
    tokens,
    /** SoftHSM itself. */
    module,
    /** The same through the module that does badly what {@link order} says. */
    faulty,
    initToken: (label: string): void => {
      execFileSync(
        'softhsm2-util',
        [
          '--module',
          module,
          '--init-token',
          '--free',
          '--label',
          label,
          '--so-pin',
          'officer',
          '--pin',
          PIN,
        ],
        { env: { ...process.env, SOFTHSM2_CONF: config } },
      );
    },
    order: (...lines: readonly `${string} ${'rv' | 'sleep'} ${number} ${number}`[]): void => {
      const padded = lines.map((line) => line.replace(/\d+$/, (count) => count.padStart(5, '0')));
      writeFileSync(orders, padded.map((line) => `${line}\n`).join(''));
    },
  };
}
