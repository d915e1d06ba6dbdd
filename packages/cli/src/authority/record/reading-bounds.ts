/** What one reader may have in progress at once. */
const IN_PROGRESS_MAX = 32;
/** Questions and evidence, which are work: of one reader, and of all of them. */
const HEAVY_MAX = 2;
const HEAVY_ALL_MAX = 8;
/** Requests a second of one reader over time, and how many may come at once after a pause. */
const PER_SECOND = 500;
const BURST = 1000;

interface Usage {
  inProgress: number;
  heavy: number;
  /** Requests that may come now. */
  tokens: number;
  filledAtMs: number;
}

/** Keeps one reader from taking what the others and the collection of logs need. */
export interface ReadingBounds {
  /**
   * Begins a request of a reader; gives what ends it, or nothing when it must come later.
   *
   * @param isHeavy whether it is a question or evidence, and no file
   */
  enter(by: string, isHeavy: boolean): (() => void) | undefined;
}

/** Bounds by reader: only who may read is counted here, so that there are as many as are configured. */
export function readingBounds(now: () => number): ReadingBounds {
  const usages = new Map<string, Usage>();
  let heavyOfAll = 0;
  return {
    enter(by, isHeavy) {
      const nowMs = now();
      const usage = usages.get(by) ?? { inProgress: 0, heavy: 0, tokens: BURST, filledAtMs: nowMs };
      usages.set(by, usage);
      const filled = (Math.max(0, nowMs - usage.filledAtMs) / 1000) * PER_SECOND;
      usage.tokens = Math.min(BURST, usage.tokens + filled);
      usage.filledAtMs = nowMs;
      const isFull =
        usage.tokens < 1 ||
        usage.inProgress >= IN_PROGRESS_MAX ||
        (isHeavy && (usage.heavy >= HEAVY_MAX || heavyOfAll >= HEAVY_ALL_MAX));
      if (isFull) return undefined;
      const heavy = isHeavy ? 1 : 0;
      usage.tokens--;
      usage.inProgress++;
      usage.heavy += heavy;
      heavyOfAll += heavy;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        usage.inProgress--;
        usage.heavy -= heavy;
        heavyOfAll -= heavy;
      };
    },
  };
}
