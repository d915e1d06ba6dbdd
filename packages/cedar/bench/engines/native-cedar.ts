import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workload } from '../workloads/workload.ts';
import type { Engine } from './engine.ts';
import { program } from './program.ts';

/** The official crate, in `native-cedar/`: `Authorizer::is_authorized` on what is parsed beforehand, and with parsing. */
export async function nativeCedar(
  workload: Workload,
  path: string,
  cache: string,
): Promise<Engine> {
  const file = join(cache, `${workload.name}.json`);
  writeFileSync(file, JSON.stringify(workload));
  try {
    return await program('native cedar', {
      command: path,
      path: file,
      modes: ['parsed', 'context', 'objects', 'text'],
    });
  } finally {
    rmSync(file);
  }
}
