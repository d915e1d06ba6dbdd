import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDrillBank } from '@countersign/cli';
import { createCleanup, runOnSignals } from '../whole-path/cleanup.ts';
import { measureAtNode } from './measure-at-node.ts';
import { measureAtPoint } from './measure-at-point.ts';
import type { Tries } from './tries.ts';

/** Life of the SVIDs: none is renewed while it is measured. */
const TTL_SECONDS = 3600;
/** From the operator's call to the last connection closed, as its client sees it; milliseconds, of the 99th percentile. */
const AIM_MS = 50;

/**
 * Revoking one identity, across processes: an authority, a node, an enforcement point and services of `countersign`, each a
 * process of its own, and this one, which is operator and clients.
 */
export async function revocation({
  tries,
  isJson,
}: {
  readonly tries: number;
  readonly isJson: boolean;
}): Promise<void> {
  const cleanup = createCleanup();
  runOnSignals(cleanup);
  const folder = await mkdtemp(join(tmpdir(), 'cs-revoke-'));
  cleanup.add(() => rm(folder, { recursive: true, force: true }));
  try {
    const bank = await startDrillBank(folder, { ttlSeconds: TTL_SECONDS });
    cleanup.add(bank.stop);
    const measured = [await measureAtPoint(bank, tries), await measureAtNode(bank, tries)];
    const figures = measured.map(figuresOf);
    process.stdout.write(
      isJson
        ? `${JSON.stringify({ node: process.version, aimMs: AIM_MS, figures })}\n`
        : textOf(figures),
    );
  } finally {
    await cleanup.run();
  }
}

function figuresOf({ what, fromCallMs, answerMs }: Tries) {
  return { what, tries: fromCallMs.length, fromCall: spread(fromCallMs), answer: spread(answerMs) };
}

function spread(all: readonly number[]) {
  const sorted = all.toSorted((one, other) => one - other);
  const at = (share: number): number =>
    Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN) * 100) / 100;
  return { medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

function textOf(figures: readonly ReturnType<typeof figuresOf>[]): string {
  const load = loadavg()[0]?.toFixed(1);
  const rows = figures.map(({ what, tries, fromCall, answer }) =>
    [
      what,
      `  last connection closed, from the call   median ${fromCall.medianMs} ms, p99 ${fromCall.p99Ms} ms, most ${fromCall.maxMs} ms (${tries} tries; aim: p99 ${AIM_MS} ms)`,
      `  the call answered                       median ${answer.medianMs} ms, p99 ${answer.p99Ms} ms, most ${answer.maxMs} ms`,
    ].join('\n'),
  );
  return [
    `revoking one identity, across processes; ${process.version}, ${availableParallelism()} processors, load ${load}`,
    ...rows,
    '',
  ].join('\n');
}
