const REPORT_EVERY_MS = 60_000;

/** What a minute's comparisons came to. */
export interface ClockReport {
  /** Ours minus the other's, in milliseconds: negative when ours is behind. */
  readonly offsetMs: number;
  /** How many comparisons it stands on. */
  readonly samples: number;
  readonly isBeyondLimit: boolean;
}

/** Compares our clock with another's whenever that tells its time. */
export interface ClockWatch {
  /** The other said at `theirMs` that it was `theirMs`, and we heard it at `ourMs`. */
  compare(theirMs: number, ourMs: number): void;
  /** The last report's offset; nothing before the first. */
  offsetMs(): number | undefined;
}

/**
 * Reports the offset of our clock once a minute, as long as the other is heard. What is heard was said
 * earlier, by an unknown delay that only ever adds: the least of a minute's differences is the nearest to the truth.
 *
 * @param options `limitMs` either way, at most so far a clock may be off
 */
export function createClockWatch(options: {
  readonly limitMs: number;
  readonly onReport: (report: ClockReport) => void;
}): ClockWatch {
  const { limitMs, onReport } = options;
  let leastMs = Number.POSITIVE_INFINITY;
  let samples = 0;
  let beganMs: number | undefined;
  let lastMs: number | undefined;
  return {
    compare(theirMs, ourMs) {
      // A clock that was set back begins a new minute: the old one's would never end.
      if (beganMs === undefined || ourMs < beganMs) beganMs = ourMs;
      leastMs = Math.min(leastMs, ourMs - theirMs);
      samples += 1;
      if (ourMs - beganMs < REPORT_EVERY_MS) return;
      lastMs = leastMs;
      const report = {
        offsetMs: leastMs,
        samples,
        isBeyondLimit: Math.abs(leastMs) > limitMs,
      };
      beganMs = ourMs;
      leastMs = Number.POSITIVE_INFINITY;
      samples = 0;
      onReport(report);
    },
    offsetMs: () => lastMs,
  };
}
