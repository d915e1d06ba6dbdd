import { equals } from './equals.ts';
import { keyOf } from './key-of.ts';
import type { Value } from './value.ts';

/** Up to this size comparing one by one is faster than a key for each. */
const LINEAR_MAX = 8;

/** A set: no order, each value once, members of any types. */
export class CedarSet {
  readonly kind = 'set';
  /** Each once. */
  readonly elements: readonly Value[];
  #keys: ReadonlySet<string> | undefined;

  private constructor(elements: readonly Value[]) {
    this.elements = elements;
  }

  static readonly empty: CedarSet = new CedarSet([]);

  /** @param values in any order, twins dropped */
  static of(values: readonly Value[]): CedarSet {
    if (values.length < 2) return new CedarSet(values);
    const isLinear = values.length <= LINEAR_MAX && !values.some(hasMembers);
    if (isLinear && isDistinct(values)) return new CedarSet(values);
    const byKey = new Map<string, Value>();
    for (const value of values) {
      const key = keyOf(value);
      if (!byKey.has(key)) byKey.set(key, value);
    }
    return new CedarSet(byKey.size === values.length ? values : [...byKey.values()]);
  }

  has(value: Value): boolean {
    const { elements } = this;
    if (elements.length > LINEAR_MAX || hasMembers(value)) {
      this.#keys ??= new Set(elements.map(keyOf));
      return this.#keys.has(keyOf(value));
    }
    for (let index = 0; index < elements.length; index += 1) {
      if (equals(elements[index] as Value, value)) return true;
    }
    return false;
  }

  hasAll(other: CedarSet): boolean {
    return (
      other.elements.length <= this.elements.length &&
      other.elements.every((each) => this.has(each))
    );
  }

  hasAny(other: CedarSet): boolean {
    return this.elements.length < other.elements.length
      ? this.elements.some((each) => other.has(each))
      : other.elements.some((each) => this.has(each));
  }
}

/**
 * Whether a value is compared member by member. Comparing such values one by one costs a factor for each level of
 * sets in sets: seconds for what one request may hold.
 */
function hasMembers(value: Value): boolean {
  return typeof value === 'object' && (value.kind === 'set' || value.kind === 'record');
}

function isDistinct(values: readonly Value[]): boolean {
  for (let index = 1; index < values.length; index += 1) {
    const value = values[index] as Value;
    for (let other = 0; other < index; other += 1) {
      if (equals(values[other] as Value, value)) return false;
    }
  }
  return true;
}
