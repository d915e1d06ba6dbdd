import type { AttributePath } from './attribute-path.ts';
import type { ScimAttribute } from './scim-schemas.ts';

/** RFC 7644 §3.4.2.2, table 3. */
export const COMPARISONS = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const;
/** One of {@link COMPARISONS}. */
export type Comparison = (typeof COMPARISONS)[number];

/** What an attribute is compared with. */
export type FilterValue = string | number | boolean | null;

/** A filter, parsed and resolved; a path that the schemas do not know is left out, and has no values. */
export type Filter =
  | { readonly kind: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'not'; readonly filter: Filter }
  | { readonly kind: 'present'; readonly path?: AttributePath }
  | {
      readonly kind: 'compare';
      readonly path?: AttributePath;
      readonly comparison: Comparison;
      readonly value: FilterValue;
    }
  /** `emails[type eq "work"]`, and what Entra adds behind it: `.value eq "a@b"`. */
  | {
      readonly kind: 'element';
      readonly path?: AttributePath;
      readonly filter: ElementFilter;
      readonly and?: ElementFilter;
    };

/** The filter inside brackets: about the sub-attributes of one element. */
export type ElementFilter =
  | { readonly kind: 'and' | 'or'; readonly left: ElementFilter; readonly right: ElementFilter }
  | { readonly kind: 'not'; readonly filter: ElementFilter }
  | { readonly kind: 'present'; readonly sub?: ScimAttribute }
  | {
      readonly kind: 'compare';
      readonly sub?: ScimAttribute;
      readonly comparison: Comparison;
      readonly value: FilterValue;
    };
