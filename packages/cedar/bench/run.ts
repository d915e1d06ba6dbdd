// npm run bench -w packages/cedar: our engine beside its peers, in one run.
// BENCH_SECONDS: for each engine and mode (1); BENCH_ROUNDS: in how many turns (3). Below half a second the run is short:
// fewer workloads and modes, and peers in other languages only where an earlier run has built them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findAims } from './aims.ts';
import { BANK_COUNTS, bankWorkload } from './bank-set.ts';
import { buildPrograms, type Program } from './build-programs.ts';
import { compare, type Row } from './compare.ts';
import { casbin } from './engines/casbin.ts';
import { casl } from './engines/casl.ts';
import { cedarWasm } from './engines/cedar-wasm.ts';
import { countersign } from './engines/countersign.ts';
import type { Engine, Mode } from './engines/engine.ts';
import { nativeCedar } from './engines/native-cedar.ts';
import { opa } from './engines/opa.ts';
import { describeMachine } from './machine.ts';
import { measureMemory } from './memory.ts';
import { markdown } from './report.ts';
import { gdrive } from './workloads/gdrive.ts';
import { github } from './workloads/github.ts';
import { PAPER_SIZES, paperWorkload } from './workloads/paper-workload.ts';
import { tinytodo } from './workloads/tinytodo.ts';
import type { Workload } from './workloads/workload.ts';

const seconds = positive('BENCH_SECONDS', 1);
const rounds = Math.ceil(positive('BENCH_ROUNDS', 3));
const isShort = seconds < 0.5;
const MAIN_MODES: readonly Mode[] = ['parsed', 'objects'];
const modes: readonly Mode[] = isShort ? MAIN_MODES : ['parsed', 'context', 'objects', 'text'];
/** With more, decisions of some peers take milliseconds, and a turn of all questions seconds. */
const POLICIES_ALL_MODES_MAX = 200;
const tooLong = isShort ? 'this run is short' : 'a decision takes too long to measure many';
const cache = join(import.meta.dirname, '../../../.cache/bench');
const started = new Date();
mkdirSync(cache, { recursive: true });

const machine = describeMachine(started);
const programs = await buildPrograms(cache, { isShort });
const skipped = Object.entries(programs).flatMap(([name, program]: [string, Program]) =>
  'skipped' in program ? [`${name}: ${program.skipped}`] : [],
);

const rows: Row[] = [];
for (const workload of workloads()) {
  progress(workload.name);
  rows.push(...(await measure(workload)));
}
progress('memory');
const memory = await measureMemory({ entities: isShort ? 100_000 : 1_000_000 });

const settings = { seconds, rounds };
const results = { machine, settings, rows, memory, skipped, aims: findAims(rows, memory) };
const file = join(cache, `cedar-${started.toISOString().slice(0, 19).replaceAll(':', '')}.json`);
writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
process.stdout.write(`${markdown(results)}\nwritten to ${file}\n`);

function* workloads(): Generator<Workload> {
  for (const count of BANK_COUNTS) {
    if (!isShort || count !== 2_000) yield bankWorkload(count);
  }
  for (const application of [gdrive, github, tinytodo]) {
    for (const size of isShort ? [5, 50] : PAPER_SIZES) {
      const [hierarchies, requests] = isShort ? [2, 20] : [10, 50];
      yield paperWorkload(application, size, { hierarchies, requests, seed: 2024 });
    }
  }
}

async function measure(workload: Workload): Promise<readonly Row[]> {
  const engines: Engine[] = [await countersign(workload)];
  try {
    for (const { name, policiesMax, make } of peers()) {
      const count = workload.policies.length;
      if (count <= policiesMax) engines.push(await make(workload));
      else skipped.push(`${name} at ${count} policies: ${tooLong}`);
    }
    const isLarge = workload.policies.length > POLICIES_ALL_MODES_MAX;
    return await compare(workload, engines, {
      seconds,
      rounds,
      modes: isLarge ? MAIN_MODES : modes,
    });
  } finally {
    for (const engine of engines) await engine.close();
  }
}

interface Peer {
  readonly name: string;
  readonly policiesMax: number;
  make(workload: Workload): Engine | Promise<Engine>;
}

function peers(): readonly Peer[] {
  const native = programs.nativeCedar;
  const rego = programs.opa;
  return [
    { name: 'cedar-wasm', policiesMax: isShort ? 200 : 2_000, make: cedarWasm },
    { name: 'casbin', policiesMax: isShort ? 200 : 2_000, make: casbin },
    { name: 'casl', policiesMax: isShort ? 200 : 10_000, make: casl },
    ...('path' in native
      ? [
          {
            name: 'native cedar',
            policiesMax: isShort ? 200 : 10_000,
            make: (workload: Workload) => nativeCedar(workload, native.path, cache),
          },
        ]
      : []),
    ...('path' in rego
      ? [
          {
            name: 'opa',
            policiesMax: isShort ? 200 : 2_000,
            make: (workload: Workload) => opa(workload, rego.path, cache),
          },
        ]
      : []),
  ];
}

function progress(what: string): void {
  const elapsedSeconds = Math.round((Date.now() - started.getTime()) / 1_000);
  process.stderr.write(`${elapsedSeconds} s: ${what}\n`);
}

function positive(name: string, fallback: number): number {
  const value = Number(process.env[name] ?? fallback);
  if (!(value > 0 && Number.isFinite(value))) {
    throw new Error(
      `could not read ${name}: found '${process.env[name]}', expected a number above 0`,
    );
  }
  return value;
}
