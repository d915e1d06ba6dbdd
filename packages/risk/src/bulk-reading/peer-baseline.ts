import { fromBase64, toBase64 } from '../base64.ts';
import type { Expectation } from './baseline.ts';
import { MEASURES, WINDOWS } from './measures.ts';

const M = MEASURES.length;
const FIELDS = 1 + 2 * M; // weight, then mean and variance per measure
const FLOATS = 1 + WINDOWS.length * FIELDS; // how many members taught it, then a block per window

const MEMORY = 2000;
const MEMBERS_MIN = 3;
const WEIGHT_MIN = 30;
/** After this much history a member teaches half of what a newcomer does. */
const MEMBER_HALF_WEIGHT = 20;

/**
 * What is usual in a peer group (a kind of subject): the spread of windows over all its members, so
 * it holds the differences between members too. Says nothing before three members taught it.
 */
export class PeerBaseline {
  readonly #learned: Float64Array;

  constructor(learned = new Float64Array(FLOATS)) {
    this.#learned = learned;
  }

  expect(window: number, measure: number): Expectation | undefined {
    const block = 1 + window * FIELDS;
    if (this.#get(0) < MEMBERS_MIN || this.#get(block) < WEIGHT_MIN) return undefined;
    const sd = Math.sqrt(this.#get(block + 1 + M + measure));
    return { mean: this.#get(block + 1 + measure), sd };
  }

  /** A member teaches for the first time. */
  join(): void {
    this.#learned[0] = this.#get(0) + 1;
  }

  /**
   * Learns a member's closed window. The more a member has taught, the less it adds: its total grows
   * as a logarithm, else one busy service would be its group.
   */
  teach(
    window: number,
    scaledAmounts: readonly number[],
    { weight, memberWeight }: { weight: number; memberWeight: number },
  ): void {
    const added = (weight * MEMBER_HALF_WEIGHT) / (MEMBER_HALF_WEIGHT + memberWeight);
    const block = 1 + window * FIELDS;
    const grown = Math.min(MEMORY, this.#get(block) + added);
    this.#learned[block] = grown;
    const step = added / grown;
    for (let measure = 0; measure < M; measure++) {
      const mean = block + 1 + measure;
      const difference = (scaledAmounts[measure] ?? 0) - this.#get(mean);
      this.#learned[mean] = this.#get(mean) + step * difference;
      const variance = mean + M;
      const spread = this.#get(variance) + step * difference * difference;
      this.#learned[variance] = (1 - step) * spread;
    }
  }

  #get(index: number): number {
    return this.#learned[index] ?? 0;
  }

  dump(): string {
    return toBase64(this.#learned);
  }

  static restore(dumped: unknown): PeerBaseline {
    return new PeerBaseline(new Float64Array(fromBase64(dumped, FLOATS * 8)));
  }
}
