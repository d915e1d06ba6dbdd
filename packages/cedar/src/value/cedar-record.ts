import type { Value } from './value.ts';

/**
 * The names that records of one layout may hold, each with its slot. Records of one schema type share a
 * layout, so that an expression finds the slot of a name once and then reads an array.
 */
export class Layout {
  readonly names: readonly string[];
  readonly #slots: ReadonlyMap<string, number>;

  /** @param names each once, in any order */
  constructor(names: readonly string[]) {
    this.names = names;
    this.#slots = new Map(names.map((name, slot) => [name, slot]));
  }

  /** @returns the slot of a name, or -1 */
  slotOf(name: string): number {
    return this.#slots.get(name) ?? -1;
  }
}

/** A record, or the attributes of an entity. A slot without a value is an attribute that is not there. */
export class CedarRecord {
  readonly kind = 'record';
  readonly layout: Layout;
  /** As long as `layout.names`. */
  readonly slots: readonly (Value | undefined)[];

  constructor(layout: Layout, slots: readonly (Value | undefined)[]) {
    this.layout = layout;
    this.slots = slots;
  }

  get(name: string): Value | undefined {
    const slot = this.layout.slotOf(name);
    return slot < 0 ? undefined : this.slots[slot];
  }

  /** Those that have a value. */
  *entries(): Generator<readonly [name: string, value: Value]> {
    for (const [slot, name] of this.layout.names.entries()) {
      const value = this.slots[slot];
      if (value !== undefined) yield [name, value];
    }
  }

  static readonly empty: CedarRecord = new CedarRecord(new Layout([]), []);

  /** A record with a layout of its own. */
  static of(entries: readonly (readonly [name: string, value: Value])[]): CedarRecord {
    const byName = new Map(entries);
    return new CedarRecord(new Layout([...byName.keys()]), [...byName.values()]);
  }
}
