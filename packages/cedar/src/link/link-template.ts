import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { PolicyAst, ScopeConstraint, SlotName, TemplateLink } from '../ast/policy.ts';
import { readTypeName } from '../json/type-name.ts';
import { EntityUid } from '../value/entity-uid.ts';

/** A template with its slots filled, or why it cannot be: each slot wants one entity, and there are no others. */
export function linkTemplate(
  template: PolicyAst,
  { id, values }: TemplateLink,
): LinkedPolicy | { readonly refusal: string } {
  const filled = new Map<string, EntityUid>();
  for (const [slot, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const type = readTypeName(value.type);
    if (type === undefined || !value.id.isWellFormed()) {
      return { refusal: `found no entity for ${slot}, expected one` };
    }
    filled.set(slot, new EntityUid(type, value.id));
  }
  const slots = slotsOf(template);
  const missing = slots.find((slot) => !filled.has(slot));
  if (missing) return { refusal: `found no value for ${missing}, expected an entity` };
  const extra = [...filled.keys()].find((slot) => !slots.some((each) => each === slot));
  if (extra !== undefined) {
    return { refusal: `found a value for ${extra}, expected a slot of that name in the template` };
  }
  return {
    ...template,
    id,
    template: template.id,
    principal: fill(template.principal, filled),
    resource: fill(template.resource, filled),
  };
}

function slotsOf({ principal, resource }: PolicyAst): readonly SlotName[] {
  return [principal, resource].flatMap((constraint) =>
    'target' in constraint && constraint.target.kind === 'slot' ? [constraint.target.slot] : [],
  );
}

function fill(
  constraint: ScopeConstraint,
  filled: ReadonlyMap<string, EntityUid>,
): ScopeConstraint {
  if (!('target' in constraint) || constraint.target.kind !== 'slot') return constraint;
  const uid = filled.get(constraint.target.slot);
  return uid ? { ...constraint, target: { kind: 'entity', uid } } : constraint;
}
