import { HOURS_OF_WEEK, MEASURES } from './measures.ts';

/** What is expected of an amount, on the scale of `scaled`. */
export interface Expectation {
  readonly mean: number;
  readonly sd: number;
}

const M = MEASURES.length;
// The layout of `learned`.
const WEIGHT = 0;
const RESIDUAL_WEIGHT = 1;
const MEAN = 2;
const VARIANCE = MEAN + M;
const RESIDUAL_VARIANCE = VARIANCE + M;
const BIN_WEIGHT = RESIDUAL_VARIANCE + M;
const BIN_MEAN = BIN_WEIGHT + HOURS_OF_WEEK;
/** Numbers in one baseline. */
export const BASELINE_FLOATS = BIN_MEAN + HOURS_OF_WEEK * M;

// About four weeks of constant activity, and about five weeks of one hour of the working day.
const MEMORY = 672;
const BIN_MEMORY = 26;
/** An hour of the week counts as known from about this weight on. */
const BIN_PRIOR = 3;
/** The peer group counts as much as this much history of one's own. */
const PEER_PRIOR = 4;
// Twice a third of the usual is noise whatever the history says; and peers differ among each other.
const SD_MIN = 0.35;
const PEER_SD_MIN = 1;

/**
 * What is usual for one subject in windows of one length: exponentially weighted mean and variance
 * of each measure, the mean of each hour of the week, and the variance that remains around those.
 * One variance serves all hours: a bin alone has far too few samples to tell its own.
 */
export class Baseline {
  readonly learned: Float32Array;

  constructor(learned: Float32Array = new Float32Array(BASELINE_FLOATS)) {
    this.learned = learned;
  }

  /** How much was learned; an hour of activity weighs 1 in windows of an hour. */
  get weight(): number {
    return this.#get(WEIGHT);
  }

  /**
   * What is expected of a measure in an hour of the week, shrunk toward the peers.
   *
   * @returns nothing when neither this subject nor its peers have taught anything
   */
  expect(measure: number, hour: number, peers: Expectation | undefined): Expectation | undefined {
    const weight = this.weight;
    if (weight === 0) return peers && { mean: peers.mean, sd: Math.max(PEER_SD_MIN, peers.sd) };
    const known = this.#known(hour);
    const mean = this.#expectedMean(measure, hour, known);
    const variance =
      known * this.#get(RESIDUAL_VARIANCE + measure) + (1 - known) * this.#get(VARIANCE + measure);
    if (peers === undefined) return { mean, sd: Math.max(SD_MIN, Math.sqrt(variance)) };
    const share = PEER_PRIOR / (weight + PEER_PRIOR);
    const shift = share * (peers.mean - mean);
    const peerVariance = Math.max(PEER_SD_MIN, peers.sd) ** 2;
    // Leaning on the peers moves the mean by `shift`: that much it may be wrong.
    const pooled = (1 - share) * variance + share * peerVariance + shift * shift;
    return { mean: mean + shift, sd: Math.max(SD_MIN, Math.sqrt(pooled)) };
  }

  /** Learns one closed window: an amount per measure on the scale, already clipped. */
  teach(scaledAmounts: readonly number[], hour: number, weight: number): void {
    const known = this.#known(hour);
    const step = this.#grow(WEIGHT, weight, MEMORY);
    // The spread around the hours' means is learned only as far as those means are known.
    const residualStep = known === 0 ? 0 : this.#grow(RESIDUAL_WEIGHT, weight * known, MEMORY);
    const binStep = this.#grow(BIN_WEIGHT + hour, weight, BIN_MEMORY);
    for (let measure = 0; measure < M; measure++) {
      const amount = scaledAmounts[measure] ?? 0;
      const residual = amount - this.#expectedMean(measure, hour, known);
      this.#move(RESIDUAL_VARIANCE + measure, residual * residual, residualStep);
      const difference = amount - this.#get(MEAN + measure);
      this.#move(MEAN + measure, amount, step);
      this.#move(VARIANCE + measure, difference * difference * (1 - step), step);
      this.#move(BIN_MEAN + hour * M + measure, amount, binStep);
    }
  }

  /** How far an hour of the week is known, 0 to 1. */
  #known(hour: number): number {
    const weight = this.#get(BIN_WEIGHT + hour);
    return weight / (weight + BIN_PRIOR);
  }

  #expectedMean(measure: number, hour: number, known: number): number {
    const overall = this.#get(MEAN + measure);
    return overall + known * (this.#get(BIN_MEAN + hour * M + measure) - overall);
  }

  /** Adds weight up to the memory; returns the share that the new value has in the average. */
  #grow(index: number, weight: number, memory: number): number {
    const grown = Math.min(memory, this.#get(index) + weight);
    this.learned[index] = grown;
    return weight / grown;
  }

  #move(index: number, toward: number, step: number): void {
    const value = this.#get(index);
    this.learned[index] = value + step * (toward - value);
  }

  #get(index: number): number {
    return this.learned[index] ?? 0;
  }
}
