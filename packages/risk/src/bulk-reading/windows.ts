import { fromBase64, toBase64 } from '../base64.ts';
import type { Observation } from '../observation.ts';
import { addDistinct, estimateDistinct, SKETCH_BYTES } from './distinct-count.ts';
import { MEASURES, WINDOWS, windowAt } from './measures.ts';

const SLOTS = 2;
const FIELDS = 1 + MEASURES.length; // the window's index, then an amount per measure
const COUNTS = WINDOWS.length * SLOTS * FIELDS;
const REGISTERS = WINDOWS.length * SLOTS * SKETCH_BYTES;

/** Takes the amounts of a window that can no longer change. */
export type OnClose = (window: number, startMs: number, amounts: readonly number[]) => void;

/**
 * What one subject read in the windows that are open: for each length the newest and the one before,
 * so that events a little out of order still fall into the right one. Constant size.
 */
export class Windows {
  readonly #counts: Float64Array;
  readonly #registers: Uint8Array;

  constructor(counts = new Float64Array(COUNTS), registers = new Uint8Array(REGISTERS)) {
    this.#counts = counts;
    this.#registers = registers;
  }

  /**
   * Closes what `atMs` leaves behind, adds the observation, and calls `onOpen` for every window
   * that took it. An observation older than both slots of a length is not counted there.
   */
  add(observation: Observation, onClose: OnClose, onOpen: OnClose): void {
    this.closeBefore(observation.atMs, onClose);
    for (let window = 0; window < WINDOWS.length; window++) {
      const ms = windowAt(window).ms;
      const index = Math.floor(observation.atMs / ms);
      const slot = window * SLOTS + (index % SLOTS);
      const held = this.#get(slot, 0);
      if (held > index) continue;
      if (held < index) this.#close(window, slot, onClose);
      this.#set(slot, 0, index);
      this.#count(slot, observation);
      onOpen(window, index * ms, this.#amounts(slot));
    }
  }

  /** Closes the windows that lie two lengths or more before a time. */
  closeBefore(atMs: number, onClose: OnClose): void {
    for (let window = 0; window < WINDOWS.length; window++) {
      const index = Math.floor(atMs / windowAt(window).ms);
      const even = window * SLOTS;
      // In order of time, because each teaches what the next is compared with.
      const first = this.#get(even, 0) <= this.#get(even + 1, 0) ? even : even + 1;
      const second = first === even ? even + 1 : even;
      if (this.#get(first, 0) < index - 1) this.#close(window, first, onClose);
      if (this.#get(second, 0) < index - 1) this.#close(window, second, onClose);
    }
  }

  isEmpty(): boolean {
    for (let slot = 0; slot < WINDOWS.length * SLOTS; slot++) {
      if (this.#get(slot, 0) !== 0) return false;
    }
    return true;
  }

  #count(slot: number, { bytes, requests, resource }: Observation): void {
    this.#set(slot, 1, this.#get(slot, 1) + bytes);
    this.#set(slot, 2, this.#get(slot, 2) + requests);
    if (resource === undefined) return;
    const offset = slot * SKETCH_BYTES;
    if (addDistinct(this.#registers, offset, resource)) {
      this.#set(slot, 3, estimateDistinct(this.#registers, offset));
    }
  }

  #close(window: number, slot: number, onClose: OnClose): void {
    const index = this.#get(slot, 0);
    if (index === 0) return;
    onClose(window, index * windowAt(window).ms, this.#amounts(slot));
    this.#counts.fill(0, slot * FIELDS, (slot + 1) * FIELDS);
    this.#registers.fill(0, slot * SKETCH_BYTES, (slot + 1) * SKETCH_BYTES);
  }

  #amounts(slot: number): readonly number[] {
    return [this.#get(slot, 1), this.#get(slot, 2), this.#get(slot, 3)];
  }

  #get(slot: number, field: number): number {
    return this.#counts[slot * FIELDS + field] ?? 0;
  }

  #set(slot: number, field: number, value: number): void {
    this.#counts[slot * FIELDS + field] = value;
  }

  dump(): readonly [string, string] {
    return [toBase64(this.#counts), toBase64(this.#registers)];
  }

  static restore(dumped: unknown): Windows {
    const [counts, registers] = dumped as readonly unknown[];
    return new Windows(
      new Float64Array(fromBase64(counts, COUNTS * 8)),
      new Uint8Array(fromBase64(registers, REGISTERS)),
    );
  }
}
