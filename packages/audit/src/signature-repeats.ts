import { hash } from 'node:crypto';
import type { DecisionEvent } from '@countersign/model';

/** Bits of the filter: 32 MiB, made when the first signed decision comes. */
const FILTER_BITS = 2 ** 28;
/** Bits that one fingerprint sets. By (1 - e^(-4n / 2^28))^4, 10 million decisions of two each make about 20,000 suspects wrongly. */
const PROBES = 4;
const SUSPECTS_MAX = 100_000;

/**
 * Finds signatures that stand in more than one decision of a log, in two readings and bounded memory: the first tells which
 * may, the second, needed only when there are any, which do. A request that is signed again is another: an enforcement point
 * takes each once, so one that stands twice is a replay that was let through.
 *
 * Compared are what was signed, with its key, and the signature: of an ECDSA signature anybody can make a second one over the
 * same, and whoever writes a log could change the one and leave the other.
 */
export class SignatureRepeats {
  readonly #suspectsMax: number;
  #filter: Uint32Array | undefined;
  /** Fingerprints that the filter knew already, and where each stood first, once the second reading got there. */
  readonly #suspects = new Map<string, number | undefined>();
  /** Fingerprints that may stand twice and are not looked for: more than there is room for. */
  unchecked = 0;

  constructor({ suspectsMax = SUSPECTS_MAX } = {}) {
    this.#suspectsMax = suspectsMax;
  }

  /** Whether a second reading is needed. */
  get isSuspicious(): boolean {
    return this.#suspects.size > 0;
  }

  /** First reading: in any order. */
  note(signature: NonNullable<DecisionEvent['signature']>): void {
    this.#filter ??= new Uint32Array(FILTER_BITS / 32);
    for (const fingerprint of fingerprintsOf(signature)) {
      if (this.#remember(fingerprint, this.#filter)) continue;
      const name = fingerprint.toString('base64');
      if (this.#suspects.has(name)) continue;
      if (this.#suspects.size < this.#suspectsMax) this.#suspects.set(name, undefined);
      else this.unchecked++;
    }
  }

  /**
   * Second reading: in the order of the log.
   *
   * @returns the index at which the signature stood first, if that is another
   */
  firstOf(signature: NonNullable<DecisionEvent['signature']>, index: number): number | undefined {
    let first: number | undefined;
    for (const fingerprint of fingerprintsOf(signature)) {
      const name = fingerprint.toString('base64');
      if (!this.#suspects.has(name)) continue;
      const found = this.#suspects.get(name);
      if (found === undefined) this.#suspects.set(name, index);
      else first = Math.min(first ?? found, found);
    }
    return first;
  }

  /** Whether it is certainly new. */
  #remember(fingerprint: Buffer, filter: Uint32Array): boolean {
    let isNew = false;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = fingerprint.readUInt32BE(probe * 4) % FILTER_BITS;
      const mask = 1 << (bit & 31);
      const word = filter[bit >>> 5] as number;
      if ((word & mask) !== 0) continue;
      isNew = true;
      filter[bit >>> 5] = word | mask;
    }
    return isNew;
  }
}

function fingerprintsOf({
  base,
  keyThumbprint,
  value,
}: NonNullable<DecisionEvent['signature']>): readonly Buffer[] {
  return [`base ${keyThumbprint}\n${base}`, `value ${value}`].map((text) =>
    hash('sha256', text, 'buffer').subarray(0, 16),
  );
}
