import type { ActionConstraint, ScopeConstraint, ScopeTarget } from '../ast/policy.ts';
import { isEntityIn } from '../operate/hierarchy.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Test } from './frame.ts';

/** `principal …` or `resource …` of a scope, without an index. */
export function compileScope(name: 'principal' | 'resource', constraint: ScopeConstraint): Test {
  switch (constraint.kind) {
    case 'any':
      return () => true;
    case 'equals': {
      const uid = targetUid(constraint.target);
      return (frame) => frame[name].equals(uid);
    }
    case 'in': {
      const uid = targetUid(constraint.target);
      return (frame) => isEntityIn(frame[name], uid, frame.view);
    }
    case 'is': {
      const { entityType } = constraint;
      return (frame) => frame[name].type === entityType;
    }
    case 'isIn': {
      const { entityType } = constraint;
      const uid = targetUid(constraint.target);
      return (frame) => frame[name].type === entityType && isEntityIn(frame[name], uid, frame.view);
    }
  }
}

/** `action …` of a scope, without an index. */
export function compileActionScope(constraint: ActionConstraint): Test {
  switch (constraint.kind) {
    case 'any':
      return () => true;
    case 'equals': {
      const { uid } = constraint;
      return (frame) => frame.action.equals(uid);
    }
    case 'in': {
      const { uids } = constraint;
      return (frame) => uids.some((uid) => isEntityIn(frame.action, uid, frame.view));
    }
  }
}

/** @throws {TypeError} for a slot: links were filled before, so a slot here is a bug */
export function targetUid(target: ScopeTarget): EntityUid {
  if (target.kind === 'entity') return target.uid;
  throw new TypeError(`cannot compile a scope: found the slot ${target.slot} unfilled`);
}
