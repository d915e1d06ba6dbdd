import type { Expression } from '../ast/expression.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';

/** The entities that alone can make a condition true: all, or those named and those below others that are named. */
export type Bound =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'some';
      readonly entities: readonly EntityUid[];
      /** These and all that is in them. */
      readonly roots: readonly EntityUid[];
    };

const ALL: Bound = { kind: 'all' };
const NONE: Bound = { kind: 'some', entities: [], roots: [] };

/** The unknown of a residual: which variable, and of which type. */
export interface Unknown {
  readonly name: 'principal' | 'resource';
  readonly type: string;
}

/** Whom a residual condition can be true for; too many rather than too few. */
export function boundOf(condition: Expression, unknown: Unknown): Bound {
  switch (condition.kind) {
    case 'literal':
    case 'value':
      return condition.value === true ? ALL : NONE;
    case 'error':
      return NONE;
    case 'and':
      return tighter(boundOf(condition.left, unknown), boundOf(condition.right, unknown));
    case 'or':
      return either(boundOf(condition.left, unknown), boundOf(condition.right, unknown));
    case 'if':
      return either(
        tighter(boundOf(condition.condition, unknown), boundOf(condition.then, unknown)),
        boundOf(condition.otherwise, unknown),
      );
    case 'is':
      if (!isUnknown(condition.operand, unknown)) return ALL;
      if (condition.entityType !== unknown.type) return NONE;
      return condition.within ? withinBound(condition.within) : ALL;
    case 'binary':
      return boundOfBinary(condition, unknown);
    default:
      return ALL;
  }
}

function boundOfBinary(
  { operator, left, right }: Extract<Expression, { kind: 'binary' }>,
  unknown: Unknown,
): Bound {
  switch (operator) {
    case '==':
      if (isUnknown(left, unknown)) return equalBound(right);
      return isUnknown(right, unknown) ? equalBound(left) : ALL;
    case 'in':
      return isUnknown(left, unknown) ? withinBound(right) : ALL;
    case 'contains': {
      const set = isUnknown(right, unknown) ? knownValue(left) : undefined;
      return set instanceof CedarSet ? { kind: 'some', entities: uidsIn(set), roots: [] } : ALL;
    }
    default:
      return ALL;
  }
}

function equalBound(other: Expression): Bound {
  const value = knownValue(other);
  if (value === undefined) return ALL;
  return value instanceof EntityUid ? { kind: 'some', entities: [value], roots: [] } : NONE;
}

function withinBound(target: Expression): Bound {
  const value = knownValue(target);
  if (value instanceof EntityUid) return { kind: 'some', entities: [], roots: [value] };
  return value instanceof CedarSet ? { kind: 'some', entities: [], roots: uidsIn(value) } : ALL;
}

function uidsIn(set: CedarSet): readonly EntityUid[] {
  return set.elements.filter((each) => each instanceof EntityUid);
}

function isUnknown(expression: Expression, { name }: Unknown): boolean {
  return expression.kind === 'variable' && expression.name === name;
}

function knownValue(expression: Expression): Value | undefined {
  switch (expression.kind) {
    case 'literal':
    case 'value':
      return expression.value;
    case 'entity':
      return expression.uid;
    default:
      return undefined;
  }
}

/** Both must hold, so either bound will do: the one that names fewer, single entities before groups. */
function tighter(one: Bound, other: Bound): Bound {
  if (one.kind === 'all') return other;
  if (other.kind === 'all') return one;
  const isNarrower =
    one.roots.length < other.roots.length ||
    (one.roots.length === other.roots.length && one.entities.length <= other.entities.length);
  return isNarrower ? one : other;
}

export function either(one: Bound, other: Bound): Bound {
  if (one.kind === 'all' || other.kind === 'all') return ALL;
  return {
    kind: 'some',
    entities: [...one.entities, ...other.entities],
    roots: [...one.roots, ...other.roots],
  };
}

/** The bound of several conditions of which one must hold. */
export function anyOf(bounds: readonly Bound[]): Bound {
  return bounds.reduce(either, NONE);
}
