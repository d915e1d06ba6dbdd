import { type ExecFileException, execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figures } from './figures.ts';

const cache = join(import.meta.dirname, '../../../.cache/bench/tessera');
const program = join(cache, 'tessera-bench');
const run = promisify(execFile);

/** Builds Tessera where Go is on the machine and the sources can be fetched, and appends; or says why not. */
export async function measureTessera(options: {
  readonly seconds: number;
  readonly inFlight: number;
  readonly isShort: boolean;
}): Promise<Figures | { readonly skipped: string }> {
  const { seconds, inFlight, isShort } = options;
  if (isShort && !existsSync(program)) {
    return { skipped: 'it was not built before, and a short run does not build' };
  }
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tessera-'));
  try {
    mkdirSync(cache, { recursive: true });
    await run('go', ['build', '-o', program, '.'], { cwd: join(import.meta.dirname, 'tessera') });
    const log = join(folder, 'log');
    const { stdout } = await run(program, [log, String(seconds), String(inFlight)]);
    const found = JSON.parse(stdout) as {
      events: number;
      seconds: number;
      cpuMicros: number;
      p50Ms: number;
      p99Ms: number;
    };
    return {
      eventsPerSecond: found.events / found.seconds,
      cpuMicrosPerEvent: found.cpuMicros / found.events,
      p50Ms: found.p50Ms,
      p99Ms: found.p99Ms,
    };
  } catch (cause) {
    const { message, stderr } = cause as ExecFileException & { stderr?: string };
    return { skipped: (stderr ?? message).trim().split('\n').at(-1) ?? 'unknown' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
