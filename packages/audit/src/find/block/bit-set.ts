/** Events of a block; see {@link BitSet}. The last offset is 32,767, so that a bitmap is 4 KiB. */
export const BLOCK_EVENTS = 32_768;
const WORDS = BLOCK_EVENTS / 32;

/** Which events of one block are meant, by their offset in it. */
export class BitSet {
  readonly #words: Uint32Array;

  constructor(words: Uint32Array = new Uint32Array(WORDS)) {
    this.#words = words;
  }

  /** The first `count` events. */
  static first(count: number): BitSet {
    const set = new BitSet();
    set.#words.fill(0xffffffff, 0, count >>> 5);
    if (count % 32 > 0) set.#words[count >>> 5] = 2 ** (count % 32) - 1;
    return set;
  }

  add(offset: number): void {
    const at = offset >>> 5;
    if (at < WORDS) this.#words[at] = ((this.#words[at] ?? 0) | (1 << (offset & 31))) >>> 0;
  }

  delete(offset: number): void {
    const at = offset >>> 5;
    if (at < WORDS) this.#words[at] = ((this.#words[at] ?? 0) & ~(1 << (offset & 31))) >>> 0;
  }

  has(offset: number): boolean {
    return ((this.#words[offset >>> 5] ?? 0) & (1 << (offset & 31))) !== 0;
  }

  /** Keeps what is in `other` too. */
  intersect(other: BitSet): void {
    for (let at = 0; at < WORDS; at++) {
      this.#words[at] = ((this.#words[at] ?? 0) & (other.#words[at] ?? 0)) >>> 0;
    }
  }

  /** Takes what is in `other` too. */
  unite(other: BitSet): void {
    for (let at = 0; at < WORDS; at++) {
      this.#words[at] = ((this.#words[at] ?? 0) | (other.#words[at] ?? 0)) >>> 0;
    }
  }

  /** How many there are. */
  get count(): number {
    let sum = 0;
    for (let at = 0; at < WORDS; at++) {
      let word = this.#words[at] ?? 0;
      if (word === 0) continue;
      word -= (word >>> 1) & 0x55555555;
      word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
      sum += (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
    }
    return sum;
  }

  /** The offsets, ascending. */
  *offsets(): Generator<number, void, undefined> {
    for (let at = 0; at < WORDS; at++) {
      let word = this.#words[at] ?? 0;
      while (word !== 0) {
        const lowest = 31 - Math.clz32(word & -word);
        yield at * 32 + lowest;
        word = (word & (word - 1)) >>> 0;
      }
    }
  }

  /** As bytes, little-endian, without the zeros at the end. */
  bytes(): Uint8Array {
    let used = WORDS;
    while (used > 0 && this.#words[used - 1] === 0) used--;
    const bytes = new Uint8Array(used * 4);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < used; at++) view.setUint32(at * 4, this.#words[at] ?? 0, true);
    return bytes;
  }

  static fromBytes(bytes: Uint8Array): BitSet {
    const words = new Uint32Array(WORDS);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const used = Math.min(WORDS, bytes.byteLength >>> 2);
    for (let at = 0; at < used; at++) words[at] = view.getUint32(at * 4, true);
    return new BitSet(words);
  }
}
