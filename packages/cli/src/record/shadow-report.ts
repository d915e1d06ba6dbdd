import type { DecisionEvent, Event } from '@countersign/model';

/** Groups listed of one surface; what comes beyond is counted. */
const GROUPS_MAX = 1000;

/** What enforcing would have refused on one surface. */
export interface ShadowSurface {
  readonly surface: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly requests: number;
  readonly wouldPass: number;
  /** Most frequent first. */
  readonly wouldRefuse: readonly ShadowRefusals[];
  /** Requests that would be refused and are in no group, because there are too many groups. */
  readonly wouldRefuseOmitted: number;
}

/** Requests that would be refused for one reason, of one subject, for one action. */
export interface ShadowRefusals {
  readonly effect: 'deny' | 'challenge';
  readonly reason: string;
  /** SPIFFE ID; absent when nobody was authenticated. */
  readonly subject?: string;
  /** The operation, or the method where there was none. */
  readonly action: string;
  readonly count: number;
  readonly lastAt: number;
  /** One of the events, to be looked at with `countersign events --id`. */
  readonly event: string;
}

/** Sums up decisions that were recorded in shadow, a surface each, by name. */
export async function shadowReport(
  events: AsyncIterable<Event> | Iterable<Event>,
  { surface: only }: { readonly surface?: string | undefined } = {},
): Promise<readonly ShadowSurface[]> {
  const surfaces = new Map<string, Tally>();
  for await (const event of events) {
    if (event.kind !== 'decision' || event.mode !== 'shadow' || event.replayed) continue;
    const { surface } = event;
    if (surface === undefined || (only !== undefined && surface !== only)) continue;
    const tally = surfaces.get(surface) ?? new Tally(surface, event.at);
    surfaces.set(surface, tally);
    tally.add(event);
  }
  return [...surfaces.values()]
    .map((tally) => tally.summary())
    .sort((a, b) => (a.surface < b.surface ? -1 : 1));
}

class Tally {
  readonly #surface: string;
  readonly #firstAt: number;
  readonly #groups = new Map<
    string,
    { -readonly [K in keyof ShadowRefusals]: ShadowRefusals[K] }
  >();
  #lastAt = 0;
  #requests = 0;
  #wouldPass = 0;
  #omitted = 0;

  constructor(surface: string, firstAt: number) {
    this.#surface = surface;
    this.#firstAt = firstAt;
  }

  add({ id, at, effect, reason, subject, action, method = '' }: DecisionEvent): void {
    this.#requests++;
    this.#lastAt = Math.max(this.#lastAt, at);
    if (effect === 'permit') {
      this.#wouldPass++;
      return;
    }
    const what = action ?? method;
    const key = JSON.stringify([effect, reason, subject, what]);
    const group = this.#groups.get(key);
    if (group) {
      group.count++;
      group.lastAt = at;
      group.event = id;
    } else if (this.#groups.size === GROUPS_MAX) {
      this.#omitted++;
    } else {
      const who = subject === undefined ? {} : { subject };
      this.#groups.set(key, {
        effect,
        reason,
        ...who,
        action: what,
        count: 1,
        lastAt: at,
        event: id,
      });
    }
  }

  summary(): ShadowSurface {
    return {
      surface: this.#surface,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      requests: this.#requests,
      wouldPass: this.#wouldPass,
      wouldRefuse: [...this.#groups.values()].sort((a, b) => b.count - a.count),
      wouldRefuseOmitted: this.#omitted,
    };
  }
}
