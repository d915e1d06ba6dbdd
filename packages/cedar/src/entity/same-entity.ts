import type { EntityUid } from '../value/entity-uid.ts';
import { equals } from '../value/equals.ts';
import type { Value } from '../value/value.ts';
import type { Entity } from './entity-view.ts';

/** Up to this size lists of parents are compared one by one. */
const LINEAR_MAX = 8;

/** Whether two descriptions of one entity say the same; parents and tags in any order. */
export function isSameEntity(one: Entity, other: Entity): boolean {
  return (
    one === other ||
    (equals(one.attributes, other.attributes) &&
      sameTags(one.tags, other.tags) &&
      namesSame(one.parents, other.parents))
  );
}

/** Whether two lists name the same parents, in whatever order and however often. */
export function namesSame(one: readonly EntityUid[], other: readonly EntityUid[]): boolean {
  if (one === other) return true;
  return namesAll(one, other) && namesAll(other, one);
}

function namesAll(list: readonly EntityUid[], wanted: readonly EntityUid[]): boolean {
  if (list.length <= LINEAR_MAX) {
    return wanted.every((uid) => list.some((each) => each.equals(uid)));
  }
  const keys = new Set(list.map(({ key }) => key));
  return wanted.every(({ key }) => keys.has(key));
}

const NO_TAGS: ReadonlyMap<string, Value> = new Map();

function sameTags(one: Entity['tags'] = NO_TAGS, other: Entity['tags'] = NO_TAGS): boolean {
  if (one.size !== other.size) return false;
  for (const [name, value] of one) {
    const theirs = other.get(name);
    if (theirs === undefined || !equals(value, theirs)) return false;
  }
  return true;
}
