import type { IpAddress } from '../value/extension.ts';
import type { Long } from '../value/long.ts';
import type { ScalarType } from './resolve-mapping.ts';
import type { Sql } from './sql.ts';

/**
 * What the translator asks of a database. No SQL that comes from here may ever raise an error, whatever is in
 * the row: databases promise no order of evaluation, so a guard beside it would not keep it from being run.
 */
export interface Dialect {
  readonly name: string;
  /** Whether a column can hold an array. */
  readonly hasArrays: boolean;
  /** Whether a column can hold an address with its prefix. */
  readonly hasAddresses: boolean;
  /** How the n-th parameter is written, from 1. A numbered one may be written twice and given once. */
  placeholder(position: number, cast: string): string;
  readonly isNumbered: boolean;

  /** A stored value in the form that all other functions here take. */
  stored(column: Sql, type: ScalarType): Sql;
  /** A stored boolean as a condition. */
  condition(column: Sql): Sql;

  /** Whether a text column can hold this text. */
  canHold(text: string): boolean;
  text(value: string): Sql;
  long(value: Long): Sql;
  address(value: IpAddress): Sql;

  /** Whether two texts are the same, scalar for scalar, whatever the collations of their columns. */
  equalTexts(left: Sql, right: Sql): Sql;
  /** @param values at least one */
  isOneOfTexts(text: Sql, values: readonly string[]): Sql;
  isOneOfLongs(long: Sql, values: readonly Long[]): Sql;
  /** A text that `UNION` and `IN` compare exactly. */
  exactText(text: Sql): Sql;
  /** @param pieces the texts between the wildcards, at least two, each perhaps empty */
  like(text: Sql, pieces: readonly string[]): Sql;

  /** Of integers, exact as long as the result is within i64; beyond, `isInRange` is false. */
  arithmetic(operator: '+' | '-' | '*', left: Sql, right: Sql): CheckedInteger;
  /** Towards zero. */
  divide(integer: Sql, divisor: number): Sql;
  /** From 0 to `divisor - 1`, for negative integers too. */
  modulo(integer: Sql, divisor: number): Sql;

  /** The elements of a JSON array, or of an array, as rows. */
  elements(
    column: Sql,
    options: { readonly kind: 'json' | 'array'; readonly alias: string; readonly type: ScalarType },
  ): { readonly from: Sql; readonly value: Sql };

  addressTest(test: AddressTest, address: Sql): Sql;
  /** Whether every address of `inner` is one of `outer`. */
  isInRange(inner: Sql, outer: Sql): Sql;
}

export type AddressTest = 'isIpv4' | 'isIpv6' | 'isLoopback' | 'isMulticast';

export interface CheckedInteger {
  readonly value: Sql;
  readonly isInRange: Sql;
}
