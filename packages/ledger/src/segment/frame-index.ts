/** Where a segment's frames stand, by the index of their first entry. */
export class FrameIndex {
  readonly #offsets: number[] = [];
  readonly #firstIndexes: number[] = [];
  #end: number;

  /** @param start where the first frame stands: after the segment's header */
  constructor(start: number) {
    this.#end = start;
  }

  /** Frames. */
  get count(): number {
    return this.#offsets.length;
  }

  /** Where the last frame ends; the segment's bytes. */
  get end(): number {
    return this.#end;
  }

  push(firstIndex: number, frameBytes: number): void {
    this.#offsets.push(this.#end);
    this.#firstIndexes.push(firstIndex);
    this.#end += frameBytes;
  }

  /** Where the frame at `position` stands; the end for the position after the last. */
  offsetOf(position: number): number {
    return this.#offsets[position] ?? this.#end;
  }

  /** The position of the frame that holds the entry at `index`, which is in the segment. */
  find(index: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#firstIndexes[middle] ?? 0) <= index) low = middle;
      else high = middle;
    }
    return low;
  }
}
