import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { ed25519NoteSigner, type Log, nodeDisk, openLog } from '@countersign/ledger';
import { type Figures, figures } from './figures.ts';

/** The mean event. */
export const ENTRY_BYTES = 461;
const ORIGIN = 'bench.example/log';
const WARM_MS = 500;

/** Appends `perCommit`, waits for their commit, and again; `isPipelined`: the next are appended meanwhile. */
export async function measureClosed(
  folder: string,
  options: {
    readonly seconds: number;
    readonly perCommit: number;
    readonly isPipelined: boolean;
  },
): Promise<Figures> {
  const { seconds, perCommit, isPipelined } = options;
  return measure(folder, async (log, entries, latenciesMs) => {
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
    return { warm: () => run(WARM_MS), run: () => run(seconds * 1000) };
  });
}

/** Appends so many a second, whatever becomes of them; each one's time from its append to its acknowledgement. */
export async function measureOpen(
  folder: string,
  options: { readonly seconds: number; readonly perSecond: number },
): Promise<Figures> {
  const { seconds, perSecond } = options;
  return measure(folder, async (log, entries, latenciesMs) => {
    const run = async (milliseconds: number) => {
      const start = performance.now();
      const first = log.nextIndex;
      let last: Promise<void> = Promise.resolve();
      for (let now = start; now - start < milliseconds; now = performance.now()) {
        const due = first + Math.floor(((now - start) * perSecond) / 1000);
        const count = due - log.nextIndex;
        for (let at = 0; at < count; at++) log.append(entries[at & 1023] as Buffer);
        if (count > 0) {
          last = log.durable(log.nextIndex - 1).then(() => {
            const waited = performance.now() - now;
            for (let at = 0; at < count; at++) latenciesMs.push(waited);
          });
        }
        // Those of a millisecond come in together.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await last;
    };
    return { warm: () => run(WARM_MS), run: () => run(seconds * 1000) };
  });
}

async function measure(
  folder: string,
  prepare: (
    log: Log,
    entries: readonly Buffer[],
    latenciesMs: number[],
  ) => Promise<{ warm: () => Promise<void>; run: () => Promise<void> }>,
): Promise<Figures> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = ed25519NoteSigner({ name: ORIGIN, privateKey });
  const log = await openLog({ origin: ORIGIN, signer, disk: nodeDisk(folder), now: Date.now });
  const entries = Array.from({ length: 1024 }, () => randomBytes(ENTRY_BYTES));
  const latenciesMs: number[] = [];
  const { warm, run } = await prepare(log, entries, latenciesMs);
  await warm();
  latenciesMs.length = 0;
  const first = log.nextIndex;
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const events = log.nextIndex - first;
  await log.close();
  return figures({ events, seconds, cpuMicros: user + system, latenciesMs });
}
