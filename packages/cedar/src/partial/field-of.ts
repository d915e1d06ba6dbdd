import type { Schema } from '../schema/schema.ts';
import type { OpenField, Shape } from './shape.ts';

/** What `.name` of a value of a shape is. */
export type FieldFacts =
  | OpenField
  /** Records of this shape have no such field. */
  | { readonly kind: 'absent' }
  /** The value is of a type without attributes, or an entity of a type without this one. */
  | { readonly kind: 'illTyped' };

const ANYTHING: FieldFacts = { kind: 'unknown', isPresent: false, shape: undefined };

export function fieldOf(
  shape: Shape | undefined,
  name: string,
  schema: Schema | undefined,
): FieldFacts {
  switch (shape?.kind) {
    case undefined:
    case 'anyEntity':
      return ANYTHING;
    case 'openRecord':
      return shape.fields.get(name) ?? (shape.hasRest ? ANYTHING : { kind: 'absent' });
    case 'record': {
      const declared = shape.attributes.get(name);
      return declared
        ? { kind: 'unknown', isPresent: declared.required, shape: declared.type }
        : { kind: 'absent' };
    }
    case 'entity': {
      const type = schema?.entityTypes.get(shape.name);
      if (!type) return ANYTHING;
      const declared = type.shape.attributes.get(name);
      // An entity of the type may be missing altogether.
      return declared
        ? { kind: 'unknown', isPresent: false, shape: declared.type }
        : { kind: 'illTyped' };
    }
    default:
      return { kind: 'illTyped' };
  }
}
