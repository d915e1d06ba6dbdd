/**
 * Tells how long the oldest entry has been waiting, at least, without a time of arrival for each: of each
 * log it remembers one size and when it was seen. An event's own time would not do: a point that was away
 * for an hour brings events that are an hour old and have waited for nobody.
 */
export class LagMeter {
  readonly #marks = new Map<string, { readonly size: number; readonly atMs: number }>();

  /** The log had `size` entries at `atMs`, and those before `cursor` were exported. */
  seen(origin: string, { size, cursor, atMs }: { size: number; cursor: number; atMs: number }) {
    const mark = this.#marks.get(origin);
    if (mark !== undefined && cursor < mark.size) return;
    if (cursor < size) this.#marks.set(origin, { size, atMs });
    else this.#marks.delete(origin);
  }

  lagMs(nowMs: number): number {
    let oldestMs = nowMs;
    for (const { atMs } of this.#marks.values()) oldestMs = Math.min(oldestMs, atMs);
    return nowMs - oldestMs;
  }
}
