import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What resident entities take: the growth of a fresh process. */
export interface Memory {
  readonly entities: number;
  readonly bytesPerEntity: number;
  readonly megabytes: number;
  readonly milliseconds: number;
}

/** In a process of its own, so that nothing measured before stands on the same heap. */
export async function measureMemory({ entities }: { entities: number }): Promise<Memory> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...process.execArgv,
    '--expose-gc',
    '--max-old-space-size=8192',
    join(import.meta.dirname, 'memory-child.ts'),
    String(entities),
  ]);
  return JSON.parse(stdout) as Memory;
}
