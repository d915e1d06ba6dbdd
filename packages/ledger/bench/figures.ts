/** What one arrangement did. */
export interface Figures {
  readonly eventsPerSecond: number;
  /** All processes that work on it, kernel included. */
  readonly cpuMicrosPerEvent: number;
  /** Until an event is durable. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function figures(run: {
  readonly events: number;
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly latenciesMs: readonly number[];
}): Figures {
  const sorted = run.latenciesMs.toSorted((one, other) => one - other);
  return {
    eventsPerSecond: run.events / run.seconds,
    cpuMicrosPerEvent: run.cpuMicros / run.events,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
  };
}

/** @param sorted ascending */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
}
