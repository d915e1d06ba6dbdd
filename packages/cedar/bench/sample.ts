/** Nanoseconds per decision. */
export interface Samples {
  /** The mean of each batch: precise, and blind to a single slow decision. */
  readonly batchNs: readonly number[];
  /** Decisions timed one by one, less what reading the clock costs: sees the slow ones, blurred by some 10 ns. */
  readonly singleNs: readonly number[];
}

const BATCH_DECISIONS = 1_000;
const BATCH_MS = 0.5;
const SINGLES_MAX = 20_000;

/**
 * Calls `decide` with 0, 1, … count-1, 0, …: first unmeasured, then for about the given time in batches and one
 * by one. A batch is a whole number of turns, so that all batches hold the same questions.
 */
export function sample(
  decide: (index: number) => unknown,
  { count, seconds, warmUpSeconds }: { count: number; seconds: number; warmUpSeconds: number },
): Samples {
  const turn = () => {
    for (let index = 0; index < count; index += 1) keep(decide(index));
  };
  turn();
  until(warmUpSeconds, 0, turn);
  const started = performance.now();
  turn();
  const turnMs = performance.now() - started;
  const turns = Math.max(
    1,
    Math.min(Math.ceil(BATCH_DECISIONS / count), Math.round(BATCH_MS / turnMs)),
  );

  const batchNs: number[] = [];
  until(seconds * 0.6, 3, () => {
    const start = performance.now();
    for (let done = 0; done < turns; done += 1) turn();
    batchNs.push(((performance.now() - start) * 1e6) / (turns * count));
  });

  const overheadNs = clockOverheadNs();
  const singleNs: number[] = [];
  const end = performance.now() + seconds * 400;
  while (singleNs.length < count || (singleNs.length < SINGLES_MAX && performance.now() < end)) {
    const index = singleNs.length % count;
    const start = performance.now();
    const answer = decide(index);
    const elapsedNs = (performance.now() - start) * 1e6;
    keep(answer);
    singleNs.push(Math.max(0, elapsedNs - overheadNs));
  }
  return { batchNs, singleNs };
}

export function join(samples: readonly Samples[]): Samples {
  return {
    batchNs: samples.flatMap((one) => one.batchNs),
    singleNs: samples.flatMap((one) => one.singleNs),
  };
}

export interface Figures {
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly singleP50Ns: number;
  readonly singleP99Ns: number;
  readonly batches: number;
  readonly singles: number;
}

export function figures({ batchNs, singleNs }: Samples): Figures {
  return {
    p50Ns: quantile(batchNs, 0.5),
    p99Ns: quantile(batchNs, 0.99),
    singleP50Ns: quantile(singleNs, 0.5),
    singleP99Ns: quantile(singleNs, 0.99),
    batches: batchNs.length,
    singles: singleNs.length,
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The median of what two readings of the clock are apart when nothing is between them. */
function clockOverheadNs(): number {
  const apart = Array.from({ length: 1_001 }, () => {
    const start = performance.now();
    return (performance.now() - start) * 1e6;
  });
  return quantile(apart, 0.5);
}

function until(seconds: number, least: number, step: () => void): void {
  const end = performance.now() + seconds * 1_000;
  for (let steps = 0; steps < least || performance.now() < end; steps += 1) step();
}

let kept: unknown;

/** Uses the answer, so that no compiler may leave out what made it. */
function keep(answer: unknown): void {
  kept = answer;
  if (kept === undefined) throw new Error('could not measure: found no answer');
}
