import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** A data folder of one test file. */
export interface TestFolder {
  readonly path: string;
  /** The processes that name this folder in their arguments, as every part of the bank does. */
  processes(): readonly { readonly pid: number; readonly command: string }[];
  /** Ends whatever still runs on it, by process id, and removes it. */
  remove(): Promise<void>;
}

/** Makes a folder; its path is short, because unix sockets lie in it. */
export function makeFolder(name: string): TestFolder {
  const path = mkdtempSync(join(tmpdir(), `cs-${name}-`));
  const processes: TestFolder['processes'] = () =>
    execFileSync('ps', ['-eww', '-o', 'pid=,args='], { encoding: 'utf8', maxBuffer: 1 << 26 })
      .split('\n')
      .filter((line) => line.includes(path))
      .map((line) => {
        const [, pid = '0', command = ''] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
        return { pid: Number(pid), command };
      });
  return {
    path,
    processes,
    async remove() {
      for (const { pid } of processes()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went by itself meanwhile.
        }
      }
      await until(() => processes().length === 0, 10_000).catch(() => undefined);
      if (!process.env['KEEP_TEST_DATA'])
        rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
