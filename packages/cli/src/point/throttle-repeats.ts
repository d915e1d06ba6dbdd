/**
 * Tells the first of its kind at once and then at most one in `everyMs`, with how many it stands for: what
 * goes wrong with every message of a feed would else fill the log by itself.
 *
 * @param options `tell` gets the latest detail; kinds are few and known, none is ever forgotten
 */
export function throttleRepeats<K extends string>(options: {
  readonly everyMs: number;
  readonly now: () => number;
  readonly tell: (kind: K, detail: string, count: number) => void;
}): (kind: K, detail: string) => void {
  const { everyMs, now, tell } = options;
  const kinds = new Map<K, { untold: number; toldMs: number }>();
  return (kind, detail) => {
    const nowMs = now();
    const known = kinds.get(kind) ?? { untold: 0, toldMs: Number.NEGATIVE_INFINITY };
    kinds.set(kind, known);
    known.untold++;
    if (nowMs - known.toldMs < everyMs) return;
    tell(kind, detail, known.untold);
    known.untold = 0;
    known.toldMs = nowMs;
  };
}
