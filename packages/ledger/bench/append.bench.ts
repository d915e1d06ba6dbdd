import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';

// How many events a second one log takes, and what an event costs, for entries of 461 bytes: the mean
// event. Run: node --conditions=@countersign/source packages/ledger/bench/append.bench.ts [folder]
//
// "closed": so many are appended, their commit awaited, again. "pipelined": the next are appended while a
// commit is in flight. "one request": append, await, again, alone: what a lone request waits for.

const ENTRY_BYTES = 461;
const SECONDS = 3;
const ORIGIN = 'bench.example/log';

interface Result {
  readonly events: number;
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly commits: number;
  readonly latenciesMs: number[];
}

async function measure(folder: string, perCommit: number, isPipelined: boolean): Promise<Result> {
  const signer = ed25519NoteSigner({
    name: ORIGIN,
    privateKey: generateKeyPairSync('ed25519').privateKey,
  });
  const log = await openLog({ origin: ORIGIN, signer, disk: nodeDisk(folder), now: Date.now });
  const entries = Array.from({ length: 1024 }, () => randomBytes(ENTRY_BYTES));
  let commits = 0;
  log.onCommit(() => commits++);
  const latenciesMs: number[] = [];
  const run = async (milliseconds: number) => {
    const end = performance.now() + milliseconds;
    let previous: Promise<void> | undefined;
    while (performance.now() < end) {
      const start = performance.now();
      for (let at = 0; at < perCommit; at++) log.append(entries[at & 1023] as Buffer);
      const durable = log.durable(log.nextIndex - 1).then(() => {
        latenciesMs.push(performance.now() - start);
      });
      await (isPipelined ? previous : durable);
      previous = durable;
    }
    await previous;
  };
  await run(1000);
  latenciesMs.length = 0;
  commits = 0;
  const first = log.nextIndex;
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run(SECONDS * 1000);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const events = log.nextIndex - first;
  await log.close();
  return { events, seconds, cpuMicros: user + system, commits, latenciesMs };
}

const parent = process.argv[2] ?? (existsSync('/tmp') ? '/tmp' : tmpdir());
console.log(`entries of ${ENTRY_BYTES} bytes, node ${process.version}, ${SECONDS} s each`);
console.log(
  '| events per round | manner | events/s | CPU µs/event | events per commit | ms p50 | ms p99 |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const [perCommit, isPipelined] of [
  [1, false],
  [10, false],
  [100, false],
  [500, false],
  [500, true],
] as const) {
  const folder = mkdtempSync(join(parent, 'countersign-bench-'));
  try {
    const result = await measure(folder, perCommit, isPipelined);
    const sorted = result.latenciesMs.toSorted((a, b) => a - b);
    const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
    const manner = perCommit === 1 ? 'one request' : isPipelined ? 'pipelined' : 'closed';
    const cells = [
      perCommit,
      manner,
      Math.round(result.events / result.seconds),
      (result.cpuMicros / result.events).toFixed(1),
      (result.events / result.commits).toFixed(0),
      at(0.5),
      at(0.99),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
