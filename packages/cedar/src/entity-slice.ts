import type { CedarEntity, CedarRequest, CedarUid, EntitySource } from './engine.ts';
import { LIMITS } from './limits.ts';
import { checkText, type ValueWalk, walkValue } from './values.ts';

/**
 * Everything that policies can see of one request: its three entities, what the context and the policies
 * name, where policies look that far also what attributes name, and all ancestors, transitively.
 *
 * @returns the entities, each once, or why the request cannot be decided
 */
export function entitySlice(
  request: CedarRequest,
  looked: { readonly literals: readonly CedarUid[]; readonly isNested: boolean },
  source: EntitySource,
): readonly CedarEntity[] | { readonly refusal: string } {
  const slice: CedarEntity[] = [];
  const seen = new Map<string, Set<string>>();
  const queue: CedarUid[] = [];
  const visit = (uid: CedarUid) => {
    // Type and id apart: ids hold any character, so no joined key would be unambiguous.
    const ids = seen.get(uid.type);
    if (ids?.has(uid.id)) return;
    if (ids) ids.add(uid.id);
    else seen.set(uid.type, new Set([uid.id]));
    queue.push(uid);
  };
  const walk: ValueWalk = { valuesLeft: LIMITS.values, onUid: visit };
  const ignore = () => {};

  let refusal = walkValue(request.context, 'context', walk);
  for (const uid of [request.principal, request.action, request.resource]) {
    refusal ??= checkText(uid.type, 'request') ?? checkText(uid.id, 'request');
    visit(uid);
  }
  for (const uid of looked.literals) visit(uid);
  if (!looked.isNested) walk.onUid = ignore; // from here on attributes are walked

  for (let next = queue.pop(); next && !refusal; next = queue.pop()) {
    const entity = source.get(next);
    if (!entity) continue;
    if (slice.length === LIMITS.entities) {
      return { refusal: `found more than ${LIMITS.entities} entities in reach of the request` };
    }
    slice.push({
      uid: { type: next.type, id: next.id },
      attrs: entity.attrs,
      parents: entity.parents,
      ...(entity.tags && { tags: entity.tags }),
    });
    const path = `${next.type}::${JSON.stringify(next.id)}`;
    refusal = walkValue(entity.attrs, path, walk);
    if (entity.tags) refusal ??= walkValue(entity.tags, path, walk);
    for (const parent of entity.parents) {
      walk.valuesLeft -= 1;
      refusal ??= checkText(parent.type, path) ?? checkText(parent.id, path);
      visit(parent);
    }
    if (walk.valuesLeft < 0) {
      refusal ??= `found more than ${LIMITS.values} values in reach of the request`;
    }
  }
  return refusal === undefined ? slice : { refusal };
}
