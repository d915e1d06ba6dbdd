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
const SLOW_TURN_MS = 50;

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
  const isSlow = milliseconds(turn) > SLOW_TURN_MS;
  if (!isSlow) until(warmUpSeconds, turn);

  const overheadNs = clockOverheadNs();
  const singleNs: number[] = [];
  const single = (index: number) => {
    const start = performance.now();
    const answer = decide(index);
    const elapsedNs = (performance.now() - start) * 1e6;
    keep(answer);
    singleNs.push(Math.max(0, elapsedNs - overheadNs));
  };
  const singleTurn = () => {
    for (let index = 0; index < count; index += 1) single(index);
  };

  const batchNs: number[] = [];
  const nsOf = (action: () => void, decisions: number) => {
    batchNs.push((milliseconds(action) * 1e6) / decisions);
  };
  if (isSlow) {
    // Beside such decisions reading the clock is nothing: each turn is a batch of singles.
    until(seconds, () => nsOf(singleTurn, count));
    return { batchNs, singleNs };
  }
  const turnsMax = Math.ceil(BATCH_DECISIONS / count);
  const turns = Math.max(1, Math.min(turnsMax, Math.round(BATCH_MS / milliseconds(turn))));
  const batch = () => {
    for (let done = 0; done < turns; done += 1) turn();
  };
  until(seconds * 0.6, () => nsOf(batch, turns * count));
  until(seconds * 0.4, () => {
    if (singleNs.length < SINGLES_MAX) singleTurn();
  });
  return { batchNs, singleNs };
}

export function join(samples: readonly Samples[]): Samples {
  return {
    batchNs: samples.flatMap((one) => one.batchNs),
    singleNs: samples.flatMap((one) => one.singleNs),
  };
}

const BLUR_NS_MAX = 10_000;

export interface Figures {
  /**
   * The figure to compare: by batches where the clock would blur a single decision, one by one above 10 µs, where
   * what else the machine does would be in every batch but is in few decisions.
   */
  readonly p50Ns: number;
  readonly batchP50Ns: number;
  readonly batchP99Ns: number;
  readonly singleP50Ns: number;
  readonly singleP99Ns: number;
  readonly batches: number;
  readonly singles: number;
}

export function figures({ batchNs, singleNs }: Samples): Figures {
  const batchP50Ns = quantile(batchNs, 0.5);
  const singleP50Ns = quantile(singleNs, 0.5);
  return {
    p50Ns: batchP50Ns < BLUR_NS_MAX ? batchP50Ns : singleP50Ns,
    batchP50Ns,
    batchP99Ns: quantile(batchNs, 0.99),
    singleP50Ns,
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

/** At least once. */
function until(seconds: number, step: () => void): void {
  const end = performance.now() + seconds * 1_000;
  do step();
  while (performance.now() < end);
}

function milliseconds(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

let kept: unknown;

/** Uses the answer, so that no compiler may leave out what made it. */
function keep(answer: unknown): void {
  kept = answer;
  if (kept === undefined) throw new Error('could not measure: found no answer');
}
