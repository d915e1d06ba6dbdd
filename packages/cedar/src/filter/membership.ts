import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { isEmpty, some } from './equal.ts';
import { and, FALSE, or, type Predicate, TRUE } from './predicate.ts';
import type { Scope } from './scope.ts';
import { type Alternative, type Outcome, outcome, relate, type Term } from './term.ts';
import type { Truth } from './truth.ts';
import { isWithin } from './within.ts';

/** `left in right` */
export function membership(left: Outcome, right: Outcome, scope: Scope): Truth {
  return relate(left, onlyTargets(right), (member, target) =>
    isEntity(member) ? isMember(member, target, scope) : undefined,
  );
}

/** What may stand right of `in`: an entity, or a set of entities and nothing else. All other cases are errors. */
function onlyTargets(right: Outcome): Outcome {
  let { isTotal } = right;
  const alternatives: Alternative[] = [];
  for (const { when, term } of right.alternatives) {
    const isTarget = targetWhere(term);
    if (isTarget !== TRUE) isTotal = false;
    alternatives.push({ when: and(when, isTarget), term });
  }
  return outcome(alternatives, isTotal);
}

function targetWhere(term: Term): Predicate {
  if (isEntity(term)) return TRUE;
  switch (term.kind) {
    case 'stored':
      return term.element.kind === 'entity' ? TRUE : isEmpty(term);
    case 'list':
      return and(...term.elements.map(isEntityWhere));
    case 'constant':
      return term.value instanceof CedarSet && term.value.elements.every(isUid) ? TRUE : FALSE;
    default:
      return FALSE;
  }
}

function isEntityWhere({ alternatives }: Outcome): Predicate {
  if (alternatives.every(({ term }) => isEntity(term))) return TRUE;
  return or(...alternatives.map(({ when, term }) => (isEntity(term) ? when : FALSE)));
}

function isEntity(term: Term): boolean {
  return term.kind === 'entity' || (term.kind === 'constant' && isUid(term.value));
}

function isUid(value: unknown): value is EntityUid {
  return value instanceof EntityUid;
}

function isMember(member: Term, target: Term, scope: Scope): Predicate {
  if (target.kind === 'entity') return isWithin(member, target, scope);
  if (target.kind === 'constant') {
    const { value } = target;
    if (isUid(value)) return isWithin(member, [value], scope);
    return isWithin(member, value instanceof CedarSet ? value.elements.filter(isUid) : [], scope);
  }
  return some(target, (element) => isMember(member, element, scope));
}
