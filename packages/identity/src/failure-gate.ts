import { type Clock, networkOf } from '@countersign/model';
import type { Recorder } from './new-event.ts';

/** Refusals of one network, or of one client behind it, in a minute, before it waits. */
const FAILURES_MAX = 120;
const WINDOW_MS = 60_000;
/** Refusals of all of them that are recorded one by one in a minute; there are networks without number. */
const TOLD_MAX = 1200;
const NAMES_MAX = 10_000;
/** Clients that were good here not long ago, by network. */
const KNOWN_MAX = 10_000;
const KNOWN_MS = 3_600_000;

interface Window {
  readonly sinceMs: number;
  failures: number;
  /** Refused or turned away since, and not recorded one by one. */
  untold: number;
}

/**
 * Keeps strangers from filling the record and from keeping others waiting: whoever is refused too often waits for the rest of a
 * minute, and what was turned away is one event. A client that is known from a network goes on there, whatever strangers beside
 * it do, until it fails as often itself.
 */
export class FailureGate {
  readonly #options: {
    readonly record: Recorder;
    readonly now: Clock;
    readonly listener: string;
  };
  readonly #windows = new Map<string, Window>();
  readonly #known = new Map<string, number>();
  #told: { sinceMs: number; count: number } = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 };
  /** Of windows that had to make room. */
  #lost = 0;

  constructor(options: {
    readonly record: Recorder;
    readonly now: Clock;
    readonly listener: string;
  }) {
    this.#options = options;
  }

  /**
   * Seconds that a caller has to wait; 0 when it may go on.
   *
   * @param ip the address of the connection
   * @param client who it says that it is: only that it was good from here before counts
   */
  waitSeconds(ip: string, client = ''): number {
    const network = networkOf(ip);
    const [over] = [this.#open(network)].filter(isOver);
    if (over === undefined) return 0;
    const name = nameOf(network, client);
    const isKnown = (this.#known.get(name) ?? Number.NEGATIVE_INFINITY) > this.#now() - KNOWN_MS;
    if (client !== '' && isKnown && !isOver(this.#open(name))) return 0;
    over.untold += 1;
    return Math.max(1, Math.ceil((over.sinceMs + WINDOW_MS - this.#now()) / 1000));
  }

  /** A client proved who it is. */
  succeeded(ip: string, client: string): void {
    const name = nameOf(networkOf(ip), client);
    this.#known.delete(name);
    this.#known.set(name, this.#now());
    if (this.#known.size > KNOWN_MAX) dropOldest(this.#known);
  }

  /**
   * Counts a refusal of somebody who did not prove who they are.
   *
   * @param client whom they claimed to be, if anybody
   * @returns whether it is to be recorded by itself
   */
  failed(ip: string, client = ''): boolean {
    const network = networkOf(ip);
    const window = this.#note(network);
    if (client !== '') this.#note(nameOf(network, client));
    return this.#isTold(window);
  }

  /** Counts a refusal of a client that proved who it is: nobody waits for that, but no loop fills the record. */
  failedOf(client: string): boolean {
    return this.#isTold(this.#note(nameOf('client', client)));
  }

  /** Records what was not told of minutes that are over; to be called now and then. */
  async sweep(): Promise<void> {
    const nowMs = this.#now();
    for (const [name, { sinceMs, untold }] of this.#windows) {
      if (nowMs - sinceMs < WINDOW_MS) continue;
      this.#windows.delete(name);
      if (untold > 0) await this.#tell(name, untold);
    }
    if (this.#lost > 0) {
      const lost = this.#lost;
      this.#lost = 0;
      await this.#tell(undefined, lost);
    }
  }

  #isTold(window: Window): boolean {
    const nowMs = this.#now();
    if (nowMs - this.#told.sinceMs >= WINDOW_MS) this.#told = { sinceMs: nowMs, count: 0 };
    const isTold = window.failures <= FAILURES_MAX && this.#told.count < TOLD_MAX;
    if (isTold) this.#told.count += 1;
    else window.untold += 1;
    return isTold;
  }

  #tell(name: string | undefined, untold: number): Promise<unknown> {
    const { record, listener } = this.#options;
    const [network] = name?.split(' ', 1) ?? [];
    const from = name === undefined ? 'many networks' : `'${name}'`;
    const detail = `found more than ${FAILURES_MAX} refusals in a minute from ${from}: ${untold} more were refused, or turned away unseen`;
    return record({
      ...{ kind: 'authentication', result: 'refused', reason: 'request-rate' },
      ...{ listener, detail: detail.slice(0, 1000) },
      ...(network !== undefined && network !== 'client' && { ip: network }),
    });
  }

  #note(name: string): Window {
    let window = this.#open(name);
    if (window === undefined) {
      // What is left untold of the minute before goes on here, and is told when this one is over.
      const untold = this.#windows.get(name)?.untold ?? 0;
      this.#windows.delete(name);
      window = { sinceMs: this.#now(), failures: 0, untold };
      this.#windows.set(name, window);
      if (this.#windows.size > NAMES_MAX) this.#lost += dropOldest(this.#windows)?.untold ?? 0;
    }
    window.failures += 1;
    return window;
  }

  #open(name: string): Window | undefined {
    const window = this.#windows.get(name);
    const passedMs = window === undefined ? WINDOW_MS : this.#now() - window.sinceMs;
    // A clock that went back holds nobody up.
    return passedMs >= 0 && passedMs < WINDOW_MS ? window : undefined;
  }

  #now(): number {
    return this.#options.now();
  }
}

function isOver(window: Window | undefined): window is Window {
  return window !== undefined && window.failures >= FAILURES_MAX;
}

function nameOf(network: string, client: string): string {
  return `${network} ${client.slice(0, 300)}`;
}

function dropOldest<T>(map: Map<string, T>): T | undefined {
  const [oldest] = map;
  if (oldest === undefined) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}
