import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const run = promisify(execFile);

/** Where `.ci/run` puts other people's SPIFFE. */
const TOOLS = join(import.meta.dirname, '../../../../.cache/spiffe-tools');
export const PYTHON = join(TOOLS, 'venv/bin/python');
export const tool = (name: string): string => join(TOOLS, 'bin', name);

/** Why a suite cannot run, printed; in CI it must. */
export function missing(what: string, ...files: readonly string[]): boolean {
  const absent = files.filter((file) => !existsSync(file));
  if (absent.length === 0) return false;
  const message = `${what} is skipped: found no ${absent.join(', ')} (made by .ci/run)`;
  console.warn(message);
  if (process.env['CI']) throw new Error(message);
  return true;
}

/** As {@link missing}, for what `.ci/run --long` alone makes. */
export function missingOfLong(what: string, ...files: readonly string[]): boolean {
  if (process.env['CI_LONG'] === '1') return missing(what, ...files);
  const absent = files.filter((file) => !existsSync(file));
  if (absent.length === 0) return false;
  console.warn(`${what} is skipped: found no ${absent.join(', ')} (made by .ci/run --long)`);
  return true;
}

/** Why the Go programs cannot be built here; as {@link missing}. */
export async function missingGo(what: string): Promise<boolean> {
  const version = await run('go', ['env', 'GOVERSION']).then(
    ({ stdout }) => stdout.trim(),
    () => 'none',
  );
  const [, minor = 0] = /^go1\.(\d+)/.exec(version) ?? [];
  if (Number(minor) >= GO_MINOR_MIN) return false;
  const message = `${what} is skipped: found go ${version}, expected 1.${GO_MINOR_MIN} or newer`;
  console.warn(message);
  if (process.env['CI']) throw new Error(message);
  return true;
}

/** As go-spiffe's own go.mod has it. */
const GO_MINOR_MIN = 25;

/** Builds one of the Go programs of these tests. */
export async function buildGo(name: string, to: string): Promise<void> {
  const cache = join(import.meta.dirname, '../../../../.cache/go-build');
  await run('go', ['build', '-o', to, '.'], {
    cwd: join(import.meta.dirname, '../go', name),
    env: { ...process.env, GOCACHE: cache, GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local' },
  });
}

/** A program that prints JSON, one value a line; each is handed on as it comes. */
export function jsonLines(
  command: string,
  args: readonly string[],
  onValue: (value: never) => void = () => undefined,
) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const values: unknown[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const value = JSON.parse(line);
    values.push(value);
    onValue(value as never);
  });
  const ended = new Promise<unknown[]>((resolve, reject) => {
    child.once('close', (code) => {
      if (code === 0) resolve(values);
      else reject(new Error(`${command} ${args.join(' ')}: exit ${code}: ${stderr}`));
    });
  });
  return { values, ended, end: () => child.stdin.end('\n') };
}
