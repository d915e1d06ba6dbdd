import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = join(import.meta.dirname, '..', 'go', 'check-log', 'main.go');
/** Where Debian's golang-golang-x-mod-dev puts its sources: a GOPATH. */
const GOPATH = '/usr/share/gocode';

/** What `test/go/check-log` prints. */
export interface GoReport {
  readonly origin: string;
  readonly size: number;
  readonly entries: number;
  readonly inclusions: number;
  readonly consistencies: number;
  readonly proofs: number;
  readonly problems: readonly { readonly place: string; readonly detail: string }[];
}

/** Why the checker cannot be built here; nothing when it can. */
export async function goMissing(): Promise<string | undefined> {
  if (!existsSync(join(GOPATH, 'src/golang.org/x/mod/sumdb/tlog'))) {
    return 'found no golang.org/x/mod (Debian: golang-golang-x-mod-dev)';
  }
  return run('go', ['version']).then(
    () => undefined,
    () => 'found no go (Debian: golang-go)',
  );
}

/** Builds the checker, offline and without modules, and gives how to ask it. */
export async function buildGoChecker(
  folder: string,
): Promise<(log: string, options: readonly string[]) => Promise<GoReport>> {
  const binary = join(folder, 'check-log');
  const cache = join(import.meta.dirname, '../../../../.cache/go-build');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', GOCACHE: cache };
  await run('go', ['build', '-o', binary, SOURCE], { env: { ...env, GOTOOLCHAIN: 'local' } });
  return async (log, options) => {
    const words = ['-log', log, '-vkey', join(log, 'vkey'), ...options];
    // Exit code 1 is an answer.
    const { stdout } = await run(binary, words).catch((error) => {
      if (error.code === 1) return error as { stdout: string };
      throw error;
    });
    return JSON.parse(stdout) as GoReport;
  };
}
