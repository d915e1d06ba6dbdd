const SESSIONS_MAX = 4;
const HALF_LIFE_MS = 180_000;

type Entry = [session: string, amount: number, atMs: number];

/**
 * Which session read most in the last minutes: four counters that fade (space-saving, Metwally
 * 2005). When there are more sessions, a newcomer takes the place of the lightest and its amount.
 */
export class HeaviestSession {
  readonly #entries: Entry[] = [];

  add(session: string, amount: number, atMs: number): void {
    const known = this.#entries.find((entry) => entry[0] === session);
    const entry = known ?? this.#place(session, atMs);
    entry[1] = fadedAmount(entry, atMs) + amount;
    entry[2] = Math.max(entry[2], atMs);
  }

  /** Nothing when no observation had a session. */
  heaviest(): string | undefined {
    const atMs = Math.max(0, ...this.#entries.map((entry) => entry[2]));
    let heaviest: Entry | undefined;
    for (const entry of this.#entries) {
      if (!heaviest || fadedAmount(entry, atMs) > fadedAmount(heaviest, atMs)) heaviest = entry;
    }
    return heaviest?.[0];
  }

  #place(session: string, atMs: number): Entry {
    if (this.#entries.length < SESSIONS_MAX) {
      const entry: Entry = [session, 0, atMs];
      this.#entries.push(entry);
      return entry;
    }
    const lightest = this.#entries.reduce((least, entry) =>
      fadedAmount(entry, atMs) < fadedAmount(least, atMs) ? entry : least,
    );
    lightest[0] = session;
    return lightest;
  }

  dump(): readonly (readonly [string, number, number])[] {
    return this.#entries;
  }

  static restore(dumped: unknown): HeaviestSession {
    const sessions = new HeaviestSession();
    if (!Array.isArray(dumped) || dumped.length > SESSIONS_MAX) throw new RangeError('no sessions');
    for (const [session, amount, atMs] of dumped) sessions.#entries.push([session, amount, atMs]);
    return sessions;
  }
}

function fadedAmount([, amount, sinceMs]: Entry, atMs: number): number {
  return amount * 2 ** (-Math.max(0, atMs - sinceMs) / HALF_LIFE_MS);
}
