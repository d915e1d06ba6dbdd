/** How long to wait before trying again: longer each time, never exactly as long as others, short again after success. */
export interface BackOff {
  /** Milliseconds until the next try. */
  next(): number;
  reset(): void;
}

/**
 * Exponential back-off with jitter: the ceiling doubles from `minMs` to `maxMs`, and the wait is between half of it and
 * all of it, so that a thousand workloads do not come back in the same moment.
 *
 * @param options.random from 0 to below 1
 */
export function createBackOff({
  random,
  minMs = 1000,
  maxMs = 30_000,
}: {
  readonly random: () => number;
  readonly minMs?: number;
  readonly maxMs?: number;
}): BackOff {
  let ceilingMs = minMs;
  return {
    next: () => {
      const ms = ceilingMs / 2 + (random() * ceilingMs) / 2;
      ceilingMs = Math.min(maxMs, ceilingMs * 2);
      return ms;
    },
    reset: () => {
      ceilingMs = minMs;
    },
  };
}
