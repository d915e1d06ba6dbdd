import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';

/** On what, and with which versions, a run was made. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly v8: string;
  /** Over the last minute, before the run: what else the machine did. */
  readonly loadAverage: number;
  readonly versions: { readonly [peer: string]: string };
}

export function describeMachine(now: Date): Machine {
  const crate = readFileSync(join(import.meta.dirname, 'native-cedar/Cargo.toml'), 'utf8');
  const modules = readFileSync(join(import.meta.dirname, 'opa/go.mod'), 'utf8');
  return {
    date: now.toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    v8: process.versions.v8,
    loadAverage: Number(loadavg()[0]?.toFixed(2)),
    versions: {
      'cedar-wasm': versionOf('@cedar-policy/cedar-wasm'),
      casbin: versionOf('casbin'),
      casl: versionOf('@casl/ability'),
      'cedar-policy (crate)': crate.match(/cedar-policy = "=([^"]+)"/)?.[1] ?? 'unknown',
      opa: modules.match(/open-policy-agent\/opa v(\S+)/)?.[1] ?? 'unknown',
      rustc: printed('rustc', '--version'),
      go: printed('go', 'version'),
    },
  };
}

/** As installed: not every package exports its package.json. */
function versionOf(name: string): string {
  const lock = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../../package-lock.json'), 'utf8'),
  ) as { packages: { [path: string]: { version?: string } } };
  return lock.packages[`node_modules/${name}`]?.version ?? 'unknown';
}

function printed(command: string, ...args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .replace(`${command} `, '')
      .replace('version ', '');
  } catch {
    return 'not there';
  }
}
