import { fromBase64, toBase64 } from '../base64.ts';
import { HOUR_MS, MEASURES } from './measures.ts';

/** The worst that one measure showed in the current hour. */
export interface Peak {
  readonly measure: number;
  /** What it adds to the evidence. */
  readonly nats: number;
  readonly window: number;
  readonly amount: number;
  /** On the scale of `scaled`. */
  readonly mean: number;
  readonly sd: number;
  /** Whether that expectation comes from the peers, for want of history. */
  readonly isOfPeers: boolean;
}

const M = MEASURES.length;
const HOUR_INDEX = 0;
const CARRIED = 1;
const PEAKS = 2;
const PEAK_FIELDS = 6;
const FLOATS = PEAKS + M * PEAK_FIELDS;

/** Bytes, requests and resources rise together: beside the strongest the others count a third. */
const CORROBORATION = 0.33;
/** A usual hour shows about this much at its worst; it must not add up. */
const DRIFT_NATS = 1;
/** What is carried from earlier hours at most, so that a subject finds back in half a day. */
const CARRIED_MAX = 12;
const HALF_LIFE_HOURS = 6;

/**
 * The evidence of one subject: the worst of the current hour per measure, and what earlier hours
 * left, which halves every six hours. Each hour counts once, however many events it held.
 */
export class Evidence {
  readonly #numbers: Float64Array;

  constructor(numbers = new Float64Array(FLOATS)) {
    this.#numbers = numbers;
  }

  /** Keeps what a measure shows if it is the worst of its hour. */
  note(atMs: number, peak: Peak): void {
    this.#rollTo(Math.floor(atMs / HOUR_MS));
    const at = PEAKS + peak.measure * PEAK_FIELDS;
    if (peak.nats <= this.#get(at)) return;
    const isOfPeers = peak.isOfPeers ? 1 : 0;
    this.#numbers.set([peak.nats, peak.window, peak.amount, peak.mean, peak.sd, isOfPeers], at);
  }

  nats(atMs: number): number {
    const hours = atMs / HOUR_MS;
    const current = this.#get(HOUR_INDEX);
    if (hours < current + 1) return this.carried(atMs) + this.#peakNats();
    return this.carried(atMs);
  }

  /** What earlier hours left, at a time. */
  carried(atMs: number): number {
    const hours = atMs / HOUR_MS;
    const current = this.#get(HOUR_INDEX);
    if (hours < current + 1) return faded(this.#get(CARRIED), hours - current);
    return faded(this.#carriedAtEnd(), hours - current - 1);
  }

  /** The peaks of the hour that a time is in, as they count: the strongest first. */
  peaks(atMs: number): readonly Peak[] {
    if (atMs / HOUR_MS >= this.#get(HOUR_INDEX) + 1) return [];
    const peaks: Peak[] = [];
    for (let measure = 0; measure < M; measure++) {
      const at = PEAKS + measure * PEAK_FIELDS;
      const [nats = 0, window = 0, amount = 0, mean = 0, sd = 0, ofPeers] =
        this.#numbers.subarray(at);
      if (nats > 0)
        peaks.push({ measure, nats, window, amount, mean, sd, isOfPeers: ofPeers === 1 });
    }
    peaks.sort((a, b) => b.nats - a.nats);
    return peaks.map((peak, i) => (i === 0 ? peak : { ...peak, nats: peak.nats * CORROBORATION }));
  }

  #peakNats(): number {
    let sum = 0;
    let strongest = 0;
    for (let measure = 0; measure < M; measure++) {
      const nats = this.#get(PEAKS + measure * PEAK_FIELDS);
      sum += nats;
      if (nats > strongest) strongest = nats;
    }
    return strongest + CORROBORATION * (sum - strongest);
  }

  #rollTo(hourIndex: number): void {
    const current = this.#get(HOUR_INDEX);
    // An event of an hour that is over, come late, counts in the current one.
    if (hourIndex <= current) return;
    const carried = faded(this.#carriedAtEnd(), hourIndex - current - 1);
    this.#numbers.fill(0);
    this.#numbers[HOUR_INDEX] = hourIndex;
    this.#numbers[CARRIED] = carried;
  }

  #carriedAtEnd(): number {
    const sum = faded(this.#get(CARRIED), 1) + this.#peakNats() - DRIFT_NATS;
    return Math.min(CARRIED_MAX, Math.max(0, sum));
  }

  #get(index: number): number {
    return this.#numbers[index] ?? 0;
  }

  dump(): string {
    return toBase64(this.#numbers);
  }

  static restore(dumped: unknown): Evidence {
    return new Evidence(new Float64Array(fromBase64(dumped, FLOATS * 8)));
  }
}

function faded(nats: number, hours: number): number {
  return nats * 2 ** (-Math.max(0, hours) / HALF_LIFE_HOURS);
}
