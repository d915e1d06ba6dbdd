import { isReserved } from '../text/words.ts';

const TYPE_NAME = /^[_a-zA-Z][_a-zA-Z0-9]*(?:::[_a-zA-Z][_a-zA-Z0-9]*)*$/;

/** Names beyond are checked each time. */
const REMEMBERED_MAX = 1024;
const LENGTH_MAX = 256;

const remembered = new Map<string, string>();

/**
 * The name of an entity type, or nothing when it is none: identifiers joined by `::`, no spaces, no reserved
 * words. One string object for one name, so that comparing two is comparing pointers.
 */
export function readTypeName(name: string): string | undefined {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  if (!TYPE_NAME.test(name) || name.split('::').some(isReserved)) return undefined;
  if (name.length <= LENGTH_MAX) {
    if (remembered.size === REMEMBERED_MAX) remembered.clear();
    remembered.set(name, name);
  }
  return name;
}
