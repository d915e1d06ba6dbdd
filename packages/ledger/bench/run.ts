// What an event costs and how long it waits until it is durable and proven, beside PostgreSQL and Tessera on the same
// disk in the same run: `npm run bench -w packages/ledger`. BENCH_SECONDS for each (default 3; below 1 is a short run).
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Figures } from './figures.ts';
import { ENTRY_BYTES, measureClosed, measureOpen } from './measure-log.ts';
import { measurePostgres, WAYS } from './measure-postgres.ts';
import { measureProofs } from './measure-proof.ts';
import { measureReopening } from './measure-reopening.ts';
import { measureTessera } from './measure-tessera.ts';

const seconds = Number(process.env['BENCH_SECONDS'] ?? 3);
if (!(seconds > 0)) throw new Error('could not read BENCH_SECONDS: expected a number above 0');
const isShort = seconds < 1;
const reopened = isShort ? 100_000 : 1_000_000;
const load = loadavg()[0] ?? 0;

const rows: (readonly [string, Figures])[] = [];
const skipped: string[] = [];
const add = (what: string, found: Figures): Figures => {
  process.stderr.write(`${what}: ${found.cpuMicrosPerEvent.toFixed(1)} µs/event\n`);
  rows.push([what, found]);
  return found;
};

await inFolder((folder) =>
  measureClosed(folder, { seconds, perCommit: 1, isPipelined: false }),
).then((found) => add('countersign, one event at a time', found));
const full = await inFolder((folder) =>
  measureClosed(folder, { seconds, perCommit: 500, isPipelined: true }),
);
add('countersign, 500 per commit, the next meanwhile', full);
const paced = [];
for (const perSecond of [10_000, 50_000, 100_000]) {
  const found = await inFolder((folder) => measureOpen(folder, { seconds, perSecond }));
  paced.push(add(`countersign, ${perSecond.toLocaleString('en')} events/s offered`, found));
}
const postgres = await measurePostgres(seconds);
if (postgres) {
  for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
    add(`PostgreSQL, ${WAYS[way]}`, postgres[way]);
  }
} else {
  skipped.push('PostgreSQL: not installed');
}
for (const inFlight of [1, 4096]) {
  const found = await measureTessera({ seconds, inFlight, isShort });
  if ('skipped' in found) skipped.push(`Tessera, ${inFlight} in flight: ${found.skipped}`);
  else add(`Tessera on POSIX files, ${inFlight.toLocaleString('en')} in flight`, found);
}
const proof = measureProofs();
const { openMs, verifyMs } = await inFolder((folder) => measureReopening(folder, reopened));

const [lone] = rows[0] ? [rows[0][1]] : [];
const reached = (is: boolean) => (is ? 'reached' : '**missed**');
const busy = load > availableParallelism() / 2;
console.log(`# Ledger: benchmark

${new Date().toISOString()}. ${cpus()[0]?.model.trim()}, ${availableParallelism()} cores; Node ${process.versions.node}; load average before the run ${load.toFixed(2)}.${busy ? ' **The machine was busy with other things: compare within the run only.**' : ''}
Entries of ${ENTRY_BYTES} bytes, ${seconds} s each. CPU is that of all processes that take part, kernel included. The time is until an event is durable: with us
under a signed checkpoint; with Tessera it has its index, the checkpoint comes later; with PostgreSQL it has no proof (the chain: one without signature).

| | events/s | CPU µs/event | p50 ms | p99 ms | CPU, times ours in full commits |
| --- | --- | --- | --- | --- | --- |
${rows
  .map(([what, found]) =>
    [
      '',
      what,
      Math.round(found.eventsPerSecond).toLocaleString('en'),
      found.cpuMicrosPerEvent.toFixed(1),
      found.p50Ms.toFixed(2),
      found.p99Ms.toFixed(2),
      (found.cpuMicrosPerEvent / full.cpuMicrosPerEvent).toFixed(1),
      '',
    ]
      .join(' | ')
      .trim(),
  )
  .join('\n')}

An inclusion proof in a tree of a million, made and checked: p50 ${proof.p50Ms.toFixed(3)} ms, p99 ${proof.p99Ms.toFixed(3)} ms.
A log of ${reopened.toLocaleString('en')} entries opens in ${Math.round(openMs)} ms and verifies in ${(verifyMs / 1000).toFixed(1)} s.
${skipped.length > 0 ? `\nNot measured:\n${skipped.map((line) => `- ${line}`).join('\n')}\n` : ''}
| | aim | found | |
| --- | --- | --- | --- |
| events a second in one process | at least 100,000 | ${Math.round(full.eventsPerSecond).toLocaleString('en')} | ${reached(full.eventsPerSecond >= 100_000)} |
| CPU of an event in full commits | at most 3 µs | ${full.cpuMicrosPerEvent.toFixed(2)} µs | ${reached(full.cpuMicrosPerEvent <= 3)} |
${paced
  .slice(0, 2)
  .map((found, at) => {
    // One flush of this disk, as a lone event sees it.
    const most = (lone?.p50Ms ?? 0) + 2;
    return `| p50 at ${at === 0 ? '10,000' : '50,000'} events/s offered | at most one flush plus 2 ms: ${most.toFixed(2)} ms | ${found.p50Ms.toFixed(2)} ms | ${reached(found.p50Ms <= most)} |`;
  })
  .join('\n')}
| inclusion proof made and checked, p99 | below 1 ms | ${proof.p99Ms.toFixed(3)} ms | ${reached(proof.p99Ms < 1)} |
| opening, for each million entries | below 2 s | ${((openMs / reopened) * 1000).toFixed(2)} s | ${reached((openMs / reopened) * 1000 < 2)} |
`);

async function inFolder<T>(measure: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
