import type { CedarUid } from './engine.ts';
import { LIMITS } from './limits.ts';

/** What is left of the bounds while the values of one request are walked. */
export interface ValueWalk {
  valuesLeft: number;
  /** Called for every entity that a value may name. */
  onUid: (uid: CedarUid) => void;
}

/**
 * Looks at one value in Cedar's JSON form before Cedar does.
 *
 * @returns what is wrong with it, or nothing
 */
export function walkValue(
  value: unknown,
  path: string,
  walk: ValueWalk,
  depth = 1,
): string | undefined {
  walk.valuesLeft -= 1;
  if (walk.valuesLeft < 0) return `found more than ${LIMITS.values} values in reach of the request`;
  if (depth > LIMITS.valueNesting) {
    return `found '${path}' nested deeper than ${LIMITS.valueNesting}`;
  }
  switch (typeof value) {
    case 'boolean':
      return undefined;
    case 'string':
      return checkText(value, path);
    case 'number':
      // Beyond 2^53 the number was rounded before we saw it: refused, never decided upon.
      return Number.isSafeInteger(value)
        ? undefined
        : `found ${value} at '${path}', expected an integer from -(2^53-1) to 2^53-1`;
    case 'object':
      break;
    default:
      return `found a ${typeof value} at '${path}', expected a value of Cedar's JSON form`;
  }
  if (Array.isArray(value)) {
    for (const each of value) {
      const problem = walkValue(each, `${path}[]`, walk, depth + 1);
      if (problem) return problem;
    }
    return undefined;
  }
  // Only plain objects: `toJSON` of a Date or a class would put something else before Cedar.
  const prototype = value === null ? undefined : Object.getPrototypeOf(value);
  if (value === null || (prototype !== Object.prototype && prototype !== null)) {
    return `found ${value === null ? 'null' : 'an object of a class'} at '${path}', expected a value of Cedar's JSON form`;
  }
  return walkRecord(value as { readonly [key: string]: unknown }, path, walk, depth);
}

function walkRecord(
  record: { readonly [key: string]: unknown },
  path: string,
  walk: ValueWalk,
  depth: number,
): string | undefined {
  const names = Object.keys(record);
  // With a schema both `{"__entity":{type,id}}` and plain `{type,id}` name an entity. A record that
  // happens to look like one costs a look-up, no more.
  if (
    names.length === 2 &&
    typeof record['type'] === 'string' &&
    typeof record['id'] === 'string'
  ) {
    walk.onUid({ type: record['type'], id: record['id'] });
  }
  for (const name of names) {
    const child = record[name];
    if (name === '__expr') return `found __expr at '${path}', expected a value`;
    // `unknown` belongs to partial evaluation; in a forbid it would be an error that Cedar skips.
    if (name === '__extn' && (child as { fn?: unknown } | null)?.fn === 'unknown') {
      return `found an unknown at '${path}', expected a value`;
    }
    const problem =
      checkText(name, path) ?? walkValue(child, `${path}.${name.slice(0, 100)}`, walk, depth + 1);
    if (problem) return problem;
  }
  return undefined;
}

/** Half a surrogate pair would become U+FFFD on its way, and two different names one. */
export function checkText(text: string, path: string): string | undefined {
  return text.isWellFormed()
    ? undefined
    : `found half a surrogate pair at '${path}', expected Unicode text`;
}
