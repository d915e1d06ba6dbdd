import type { CedarJson } from '../engine.ts';

/** An attribute of the context that whoever asks could change: by a stronger login, an approval, another device. */
export interface RaisableAttribute {
  /** Its name, or names from the context inward. */
  readonly attribute: string | readonly string[];
  /**
   * What it could become, the least first; where what it is now is among them, only what follows that. Without
   * them, values are derived from what policies compare it with.
   */
  readonly values?: readonly CedarJson[];
  /**
   * Which way derived values rise: numbers, times, booleans and set sizes up (`ascending`, unless said
   * otherwise) or down. What is no higher than the value now is not proposed.
   */
  readonly order?: 'ascending' | 'descending';
}

/** What would have turned a denial. */
export type RaiseFinding =
  | {
      readonly kind: 'found';
      /**
       * The least set of changes: no set of fewer attributes turns the denial, and among those of as many none
       * with lower values; within the values that were given or derived.
       */
      readonly changes: readonly RaiseChange[];
      readonly tried: number;
    }
  /** Whatever values the attributes had, the answer would be a denial. */
  | { readonly kind: 'impossible'; readonly tried: number }
  /** None of the values that were given or derived turn it. Others may. */
  | { readonly kind: 'notFound'; readonly tried: number }
  /** The bound was reached first: nothing was found among what was tried, the rest was not tried. */
  | { readonly kind: 'gaveUp'; readonly tried: number; readonly bound: keyof typeof RAISE_LIMITS };

export interface RaiseChange {
  /** Names from the context inward. */
  readonly attribute: readonly string[];
  /** Cedar's JSON form. */
  readonly to: CedarJson;
}

/** How far the search goes. */
export const RAISE_LIMITS = {
  /** Attributes that can be raised; above it `ERR_CEDAR_REQUEST_INVALID`. */
  attributes: 8,
  /** Values of one attribute that are tried, the lowest first; then `gaveUp`. */
  values: 16,
  /** Combinations of values that are tried; then `gaveUp`. */
  combinations: 10_000,
  /** Combinations times policies in the set: a second's work, however large the set; then `gaveUp`. */
  evaluations: 1_000_000,
} as const;
