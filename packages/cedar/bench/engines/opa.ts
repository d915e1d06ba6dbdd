import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { regoWorkload } from '../translations/rego.ts';
import type { Workload } from '../workloads/workload.ts';
import type { Engine } from './engine.ts';
import { program } from './program.ts';

/** OPA as a Go library, in `opa/`: a prepared query; resident entities are its store's data, kept as its own values. */
export async function opa(workload: Workload, path: string, cache: string): Promise<Engine> {
  const file = join(cache, `${workload.name}.rego.json`);
  writeFileSync(file, JSON.stringify(regoWorkload(workload)));
  try {
    return await program('opa', {
      command: path,
      path: file,
      modes: ['parsed', 'context', 'objects', 'text'],
    });
  } finally {
    rmSync(file);
  }
}
