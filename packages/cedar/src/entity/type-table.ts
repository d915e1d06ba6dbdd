import type { EntityNode } from './entity-node.ts';
import type { Entity } from './entity-view.ts';

/** With fewer gaps than this the order is left as it is. */
const GAPS_MIN = 32;

/** The names of one type that a store knows, and the order in which its entities came. */
export class TypeTable {
  readonly type: string;
  /** By id. */
  readonly nodes = new Map<string, EntityNode>();
  /** How many of the nodes are entities. */
  size = 0;
  // Serials grow; where an entity is gone, only its serial stands, so that a search still finds its way.
  #order: (EntityNode | number)[] = [];
  #moves = 0;

  constructor(type: string) {
    this.type = type;
  }

  /** @param serial higher than any before */
  add(node: EntityNode, serial: number): void {
    node.serial = serial;
    this.#order.push(node);
    this.size += 1;
  }

  drop(node: EntityNode): void {
    this.#order[this.#placeAfter(node.serial - 1)] = node.serial;
    node.serial = 0;
    this.size -= 1;
    const gaps = this.#order.length - this.size;
    if (gaps < GAPS_MIN || gaps < this.size) return;
    this.#order = this.#order.filter((each) => typeof each !== 'number');
    this.#moves += 1;
  }

  /** The entities with a serial above `after`, in order; those that come meanwhile too. */
  *entities(after: number): Generator<Entity> {
    let last = after;
    let place = this.#placeAfter(last);
    let moves = this.#moves;
    for (;;) {
      if (moves !== this.#moves) {
        place = this.#placeAfter(last);
        moves = this.#moves;
      }
      const each = this.#order[place];
      if (each === undefined) return;
      place += 1;
      if (typeof each === 'number') continue;
      last = each.serial;
      if (each.entity !== undefined) yield each.entity;
    }
  }

  /** Where the first serial above `serial` stands. */
  #placeAfter(serial: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const each = this.#order[middle] as EntityNode | number;
      if ((typeof each === 'number' ? each : each.serial) > serial) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
