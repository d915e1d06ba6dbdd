import { equals } from './equals.ts';
import { keyOf } from './key-of.ts';
import type { Value } from './value.ts';

/** Up to this size comparing one by one is faster than a key for each. */
const LINEAR_MAX = 8;

/** A set: no order, each value once, members of any types. */
export class CedarSet {
  readonly kind = 'set';
  /** As given: twins are dropped when somebody counts, for most sets are only looked into, or not even that. */
  readonly members: readonly Value[];
  #elements: readonly Value[] | undefined;
  #keys: ReadonlySet<string> | undefined;
  #key: string | undefined;

  private constructor(members: readonly Value[]) {
    this.members = members;
  }

  static readonly empty: CedarSet = new CedarSet([]);

  /** @param values in any order, with twins or without */
  static of(values: readonly Value[]): CedarSet {
    return new CedarSet(values);
  }

  /** Each once. */
  get elements(): readonly Value[] {
    this.#elements ??= withoutTwins(this.members);
    return this.#elements;
  }

  /** As `keyOf` gives it: sets in sets would otherwise be gone through once for each level above them. */
  get key(): string {
    this.#key ??= `[${this.elements.map(keyOf).sort().join('')}]`;
    return this.#key;
  }

  get isEmpty(): boolean {
    return this.members.length === 0;
  }

  has(value: Value): boolean {
    const { members } = this;
    if (members.length > LINEAR_MAX || hasMembers(value)) {
      this.#keys ??= new Set(members.map(keyOf));
      return this.#keys.has(keyOf(value));
    }
    for (let index = 0; index < members.length; index += 1) {
      if (equals(members[index] as Value, value)) return true;
    }
    return false;
  }

  hasAll(other: CedarSet): boolean {
    return other.members.every((each) => this.has(each));
  }

  hasAny(other: CedarSet): boolean {
    return this.members.length < other.members.length
      ? this.members.some((each) => other.has(each))
      : other.members.some((each) => this.has(each));
  }
}

function withoutTwins(values: readonly Value[]): readonly Value[] {
  if (values.length < 2) return values;
  const isLinear = values.length <= LINEAR_MAX && !values.some(hasMembers);
  if (isLinear && isDistinct(values)) return values;
  const byKey = new Map<string, Value>();
  for (const value of values) {
    const key = keyOf(value);
    if (!byKey.has(key)) byKey.set(key, value);
  }
  return byKey.size === values.length ? values : [...byKey.values()];
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
