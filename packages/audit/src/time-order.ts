import type { Event } from '@countersign/model';

/**
 * As far as two clocks of ours may differ anywhere (SVIDs, tokens, proofs). An event's time is taken when it is appended,
 * so that in a log of one clock it never goes back; a clock that is slewed never does either, one that is stepped by a time
 * service at work does by less. What goes back by more has a clock that somebody set, or a writer that backdates.
 */
const BACK_MS_MAX = 5000;

/** Watches that the events of one log do not go back in time: one that does is outside every `--from` that it should be in. */
export class TimeOrder {
  #latest: { readonly at: number; readonly index: number } | undefined;

  /** What is wrong with the time of the next event, if anything; once for each step back, however long it lasts. */
  next({ at, kind }: Event, index: number): string | undefined {
    // The authority's signals carry the time of what they are about, which may have been collected late.
    if (kind === 'signal') return undefined;
    const latest = this.#latest;
    if (latest === undefined || at >= latest.at) {
      this.#latest = { at, index };
      return undefined;
    }
    // Small steps do not move the mark: many of them are one large one.
    if (latest.at - at <= BACK_MS_MAX) return undefined;
    this.#latest = { at, index };
    const seconds = (BACK_MS_MAX / 1000).toString();
    return `found ${moment(at)} after ${moment(latest.at)} at ${latest.index}, expected at most ${seconds} s before it`;
  }
}

/** A time beyond what a date can be is shown as it is. */
function moment(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString();
}
