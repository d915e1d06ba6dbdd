import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarUid } from '../engine.ts';

/**
 * The entities that a policy names and may look into (`User::"root".team`). One that is only compared
 * with, or stands right of `in`, is never looked up, and is left out: each costs about 50 µs.
 */
export function entityLiterals(policy: PolicyJson): readonly CedarUid[] {
  const found: CedarUid[] = [];
  // A stack of our own: the tree of a long chain is deeper than the call stack.
  const stack: unknown[] = policy.conditions.map((clause) => clause.body);
  while (stack.length > 0) {
    const node = stack.pop();
    if (Array.isArray(node)) stack.push(...node);
    if (!isRecord(node)) continue;
    const uid = node['__entity'];
    if (isUid(uid)) found.push({ type: uid.type, id: uid.id });
    for (const [key, child] of Object.entries(node)) {
      if (key === '__entity') continue;
      const operands = isRecord(child) ? child : {};
      if (key === 'in') {
        stack.push(operands['left']);
        if (!isNames(operands['right'])) stack.push(operands['right']);
      } else if (key === '==' || key === '!=') {
        stack.push(...[operands['left'], operands['right']].filter((each) => !isNames(each)));
      } else {
        stack.push(child);
      }
    }
  }
  return found;
}

/** An entity literal, or a set of nothing else. */
function isNames(node: unknown): boolean {
  if (!isRecord(node)) return false;
  const set = node['Set'];
  if (Array.isArray(set)) return set.every(isNames);
  const value = node['Value'];
  return isRecord(value) && isUid(value['__entity']);
}

function isUid(value: unknown): value is CedarUid {
  return isRecord(value) && typeof value['type'] === 'string' && typeof value['id'] === 'string';
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
