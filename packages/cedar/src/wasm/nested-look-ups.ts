import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** The operators that look their left operand up among the entities: its attributes, tags or ancestors. */
const LOOK_UPS: ReadonlySet<string> = new Set(['.', 'has', 'in', 'is', 'hasTag', 'getTag']);

/**
 * Whether a policy may look into an entity that only an attribute or a tag of another entity names
 * (`principal.boss.age`). Where none does, entities that attributes name are only compared with, and need
 * not be passed to Cedar, where each costs about 50 µs: a partner may name thousands of accounts.
 *
 * The tree has no types, so a record's field is taken for an entity: wrong only towards looking more up.
 */
export function hasNestedLookUps(policy: PolicyJson): boolean {
  // A stack of our own: the tree of a long chain is deeper than the call stack.
  const stack: unknown[] = policy.conditions.map((clause) => clause.body);
  while (stack.length > 0) {
    const node = stack.pop();
    if (Array.isArray(node)) stack.push(...node);
    if (!isRecord(node)) continue;
    for (const [key, child] of Object.entries(node)) {
      if (LOOK_UPS.has(key) && isRecord(child) && 'left' in child && !isAtHand(child['left'])) {
        return true;
      }
      stack.push(child);
    }
  }
  return false;
}

/** The request's own entities, those that its context or the policy names: all of them are passed. */
function isAtHand(node: unknown): boolean {
  if (!isRecord(node)) return false;
  if ('Var' in node || 'Value' in node) return true;
  const access = node['.'];
  return isRecord(access) && isContext(access['left']);
}

function isContext(node: unknown): boolean {
  return isRecord(node) && node['Var'] === 'context';
}

function isRecord(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
