import type { Row } from './compare.ts';
import type { Mode } from './engines/engine.ts';
import type { Machine } from './machine.ts';
import type { Memory } from './memory.ts';

/** All that a run found. Written as JSON; printed as Markdown. */
export interface Results {
  readonly machine: Machine;
  readonly settings: { readonly seconds: number; readonly rounds: number };
  readonly rows: readonly Row[];
  readonly memory: Memory;
  /** What was not measured, and why. */
  readonly skipped: readonly string[];
  readonly aims: readonly Aim[];
}

/** What the room promises, and what this run found. */
export interface Aim {
  readonly what: string;
  readonly aim: string;
  readonly found: string;
  readonly isReached: boolean;
}

export const OURS = 'countersign';

const MODES: readonly Mode[] = ['parsed', 'context', 'objects', 'text'];

/** The results as Markdown: what each engine needs, and in brackets how many times what ours needs in the same mode. */
export function markdown(results: Results): string {
  const { machine, settings, rows, memory, skipped, aims } = results;
  const workloads = [...new Set(rows.map(({ workload }) => workload))];
  const families = [...new Set(workloads.map((name) => name.slice(0, name.lastIndexOf('-'))))];
  return [
    '# Cedar: benchmark',
    `${machine.date}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; Node ${machine.node} (V8 ${machine.v8}); load average before the run ${machine.loadAverage}.${isBusy(machine) ? ' **The machine was busy with other things: compare within the run only.**' : ''}`,
    `${Object.entries(machine.versions)
      .map(([peer, version]) => `${peer} ${version}`)
      .join('; ')}.`,
    `${settings.seconds} s for each engine and mode, in turn, rounds: ${settings.rounds}.`,
    HOW_MEASURED,
    ...families.flatMap((family) => {
      const ofFamily = rows.filter(({ workload }) => workload.startsWith(`${family}-`));
      return [
        `## ${family}`,
        'p50 of a decision:',
        table(ofFamily, family, 'p50Ns'),
        'p99 of a single decision:',
        table(ofFamily, family, 'singleP99Ns'),
      ];
    }),
    '## Memory',
    `${memory.entities.toLocaleString('en')} entities with four attributes: ${memory.bytesPerEntity} bytes each, ${memory.megabytes} MB in all, put in ${(memory.milliseconds / 1000).toFixed(1)} s.`,
    '## What differs',
    DIFFERENCES,
    ...(skipped.length > 0
      ? ['## Not measured', skipped.map((line) => `- ${line}`).join('\n')]
      : []),
    '## Aims',
    [
      '| | aim | found | |',
      '| --- | --- | --- | --- |',
      ...aims.map(
        ({ what, aim, found, isReached }) =>
          `| ${what} | ${aim} | ${found} | ${isReached ? 'reached' : '**missed**'} |`,
      ),
    ].join('\n'),
    '',
  ].join('\n\n');
}

function isBusy({ loadAverage, cores }: Machine): boolean {
  return loadAverage > cores / 2;
}

const HOW_MEASURED = `p50 is taken over batches of about half a millisecond, or above 10 µs over decisions one by one; p99 over decisions
one by one, less what reading the clock costs; both are in the JSON file.

Modes: \`parsed\`: entities and request are resident; \`context\`: entities are resident, the request is JSON values;
\`objects\`: the request and the entities it needs are JSON values; \`text\`: the same as JSON text.`;

const DIFFERENCES = `- cedar-wasm keeps no entities: it has no resident mode. Policies and schema are parsed beforehand, requests validated.
- native cedar is the same crate in a Rust program, measured inside it; JSON is read against the schema, as ours is.
- opa: Rego written by hand. It knows no types, no errors and no reasons; decimals are floating point numbers.
- casbin: a condition (\`eval\`) in each policy, the hierarchy as role links, everything resident. No types, no errors.
- casl: no hierarchy and no comparison of two attributes: ancestors and comparisons are worked out beforehand and not
  measured. On the bank set all policies are rules of one ability; in the paper's workloads each principal has its own.
- All of them gave the same decisions on every question, and the Cedar engines the same reasons and errors.`;

export function table(
  rows: readonly Row[],
  family: string,
  figure: 'p50Ns' | 'singleP99Ns',
): string {
  const sizes = [...new Set(rows.map(({ workload }) => workload.slice(family.length + 1)))];
  const kinds = MODES.flatMap((mode) => {
    const engines = rows.filter((row) => row.mode === mode).map((row) => row.engine);
    return [...new Set(engines)].map((engine) => `${engine} ${mode}`);
  });
  const find = (kind: string, size: string) =>
    rows.find(
      ({ engine, mode, workload }) =>
        `${engine} ${mode}` === kind && workload === `${family}-${size}`,
    );
  const cell = (kind: string, size: string): string => {
    const row = find(kind, size);
    if (row === undefined) return '';
    const ours = find(`${OURS} ${row.mode}`, size);
    const ratio =
      ours === undefined || row.engine === OURS ? '' : ` (${times(row[figure] / ours[figure])})`;
    return `${duration(row[figure])}${ratio}`;
  };
  return [
    `| | ${sizes.join(' | ')} |`,
    `| --- |${' --- |'.repeat(sizes.length)}`,
    ...kinds.map((kind) => `| ${kind} | ${sizes.map((size) => cell(kind, size)).join(' | ')} |`),
  ].join('\n');
}

export function duration(ns: number): string {
  if (ns < 1_000) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toPrecision(3)} µs`;
  return `${(ns / 1e6).toPrecision(3)} ms`;
}

export function times(ratio: number): string {
  return `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}x`;
}
