const EVERY_MS = 10 * 60_000;
const SUBJECTS_MAX = 20;

/**
 * Keeps an alarm that strangers can cause from filling the record: once for each subject, for at most 20 subjects, in ten
 * minutes. What was left out is counted.
 */
export class AlarmThrottle {
  readonly #subjects = new Set<string>();
  #beganMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  /** @returns how many were left out since the last that was told; nothing when this one is left out, too */
  take(subject: string, nowMs: number): number | undefined {
    if (nowMs - this.#beganMs >= EVERY_MS || nowMs < this.#beganMs) {
      this.#beganMs = nowMs;
      this.#subjects.clear();
    }
    if (this.#subjects.has(subject) || this.#subjects.size >= SUBJECTS_MAX) {
      this.#leftOut += 1;
      return undefined;
    }
    this.#subjects.add(subject);
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut;
  }
}
