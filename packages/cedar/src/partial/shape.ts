import type { SchemaType } from '../schema/schema.ts';
import type { Value } from '../value/value.ts';
import { ANY_VALUE, BOOLEAN, OTHER, type Outcomes } from './outcomes.ts';
import type { Open } from './partial.ts';

/** What is known of the type of a value that is not known itself. Nothing known: `undefined` in its place. */
export type Shape =
  | SchemaType
  | { readonly kind: 'anyEntity' }
  | { readonly kind: 'anySet' }
  | OpenRecord;

/** A record of which some fields are known: the context of a partial request, or a record literal. */
export interface OpenRecord {
  readonly kind: 'openRecord';
  readonly fields: ReadonlyMap<string, OpenField>;
  /** Whether there may be fields that `fields` does not name. */
  readonly hasRest: boolean;
}

export type OpenField =
  | { readonly kind: 'known'; readonly value: Value }
  | {
      readonly kind: 'unknown';
      readonly isPresent: boolean;
      readonly shape: Shape | undefined;
      /** In a record literal: what was written there. */
      readonly open?: Open;
    };

export function outcomesOfShape(shape: Shape | undefined): Outcomes {
  if (shape === undefined) return ANY_VALUE;
  return shape.kind === 'boolean' ? BOOLEAN : OTHER;
}

export function shapeOf(value: Value): Shape | undefined {
  switch (typeof value) {
    case 'boolean':
      return { kind: 'boolean' };
    case 'string':
      return { kind: 'string' };
    case 'number':
    case 'bigint':
      return { kind: 'long' };
    default:
      break;
  }
  switch (value.kind) {
    case 'entity':
      return { kind: 'entity', name: value.type };
    case 'set':
      return { kind: 'anySet' };
    case 'record':
      return {
        kind: 'openRecord',
        fields: new Map(
          Array.from(value.entries(), ([name, each]) => [name, { kind: 'known', value: each }]),
        ),
        hasRest: false,
      };
    default:
      return { kind: value.kind };
  }
}

/** Whether values of the two shapes are never equal. */
export function areDisjoint(one: Shape | undefined, other: Shape | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  if (one.kind === 'entity' && other.kind === 'entity') return one.name !== other.name;
  return familyOf(one) !== familyOf(other);
}

/** What both have in common. */
export function joinShapes(one: Shape | undefined, other: Shape | undefined): Shape | undefined {
  if (one === undefined || other === undefined || familyOf(one) !== familyOf(other)) {
    return undefined;
  }
  switch (familyOf(one)) {
    case 'entity':
      return areDisjoint(one, other) || one.kind === 'anyEntity' ? { kind: 'anyEntity' } : other;
    case 'set':
      return { kind: 'anySet' };
    case 'record':
      return one === other ? one : { kind: 'openRecord', fields: new Map(), hasRest: true };
    default:
      return one;
  }
}

export function isEntityShape(shape: Shape | undefined): boolean {
  return shape !== undefined && familyOf(shape) === 'entity';
}

export function isSetShape(shape: Shape | undefined): boolean {
  return shape !== undefined && familyOf(shape) === 'set';
}

function familyOf(shape: Shape): string {
  switch (shape.kind) {
    case 'anyEntity':
      return 'entity';
    case 'anySet':
      return 'set';
    case 'openRecord':
      return 'record';
    default:
      return shape.kind;
  }
}
