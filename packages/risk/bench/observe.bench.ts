import type { Event } from '@countersign/model';
import { createRiskEngine } from '@countersign/risk';
import { DAY, HOUR, MONDAY, read, seeded, workload } from '../test/traffic.ts';

// Run: node --expose-gc --conditions=@countersign/source packages/risk/bench/observe.bench.ts

const ROUNDS = 12;

for (const identities of [1_000, 100_000]) {
  const subjects = Array.from({ length: identities }, (_, i) => workload(`w${i}`));
  const random = seeded(identities);
  let now = MONDAY;
  const before = memory();
  const engine = createRiskEngine({ now: () => now, requestsMax: 1000 });
  // Every identity has been there for a while, each with traffic in many hours of the week.
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) {
      now = MONDAY + round * 5 * HOUR;
      for (const event of read({ subject, at: now })) engine.observe(event);
    }
  }
  const bytesPerIdentity = (memory() - before) / identities;

  const events: Event[] = [];
  for (let i = 0; i < 200_000; i++) {
    const subject = subjects[Math.floor(random() * identities)] ?? '';
    const at = MONDAY + 4 * DAY + Math.floor((i * HOUR) / 200_000);
    const bytes = Math.floor(4000 * random());
    events.push(...read({ subject, at, bytes, resource: `a${Math.floor(1000 * random())}` }));
  }
  const micros: number[] = [];
  const start = performance.now();
  for (const event of events) {
    now = event.at;
    const from = performance.now();
    engine.observe(event);
    micros.push(1000 * (performance.now() - from));
  }
  const seconds = (performance.now() - start) / 1000;
  micros.sort((a, b) => a - b);
  const at = (share: number) => (micros[Math.floor(share * micros.length)] ?? 0).toFixed(1);
  const from = performance.now();
  const snapshot = engine.snapshot();
  const snapshotMs = performance.now() - from;
  const restoreFrom = performance.now();
  createRiskEngine({ now: () => now, snapshot });
  const restoreMs = performance.now() - restoreFrom;
  console.log(
    `${identities} identities: ${Math.round(events.length / seconds)} events/s, per event ` +
      `p50 ${at(0.5)} us, p99 ${at(0.99)} us, p99.9 ${at(0.999)} us; ` +
      `${Math.round(bytesPerIdentity)} bytes per identity; snapshot ${(snapshot.length / 1e6).toFixed(0)} MB, ` +
      `taken in ${snapshotMs.toFixed(0)} ms, restored in ${restoreMs.toFixed(0)} ms`,
  );
}

/** Bytes in use, typed arrays included. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
