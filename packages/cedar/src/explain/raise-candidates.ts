import type { Expression } from '../ast/expression.ts';
import type { CedarJson } from '../engine.ts';
import type { JsonParser } from '../json/create-json-parser.ts';
import { valueToJson } from '../json/value-to-json.ts';
import type { SchemaType } from '../schema/schema.ts';
import { equals } from '../value/equals.ts';
import { keyOf } from '../value/key-of.ts';
import type { Long } from '../value/long.ts';
import type { Value } from '../value/value.ts';
import { deriveValues } from './derive-values.ts';
import { RAISE_LIMITS, type RaisableAttribute } from './raise-finding.ts';

/** An attribute with what it could become, the least first. */
export interface RaiseCandidates {
  readonly path: readonly string[];
  readonly values: readonly CedarJson[];
  /** Whether there were more values than are tried. */
  readonly isCut: boolean;
}

/** An attribute that can be raised, and what is known of it. */
export interface RaiseSubject {
  readonly raisable: RaisableAttribute;
  readonly path: readonly string[];
  readonly now: Value | undefined;
  readonly type: SchemaType | undefined;
}

/** @param residuals of all policies while everything that can be raised is unknown */
export function raiseCandidates(
  subject: RaiseSubject,
  { parser, residuals }: { readonly parser: JsonParser; readonly residuals: readonly Expression[] },
): RaiseCandidates {
  const { path, raisable } = subject;
  const values = raisable.values
    ? givenValues(raisable.values, subject, parser)
    : derivedValues(subject, residuals).map(valueToJson);
  return {
    path,
    values: values.slice(0, RAISE_LIMITS.values),
    isCut: values.length > RAISE_LIMITS.values,
  };
}

/** Those above what it is now. */
function givenValues(
  values: readonly CedarJson[],
  { now, type }: RaiseSubject,
  parser: JsonParser,
): readonly CedarJson[] {
  const parsed = values.map((value) => parser.parseValue(value, type));
  const position = parsed.findIndex((value) => now !== undefined && equals(value, now));
  return values.slice(position + 1);
}

function derivedValues(
  { now, path, raisable }: RaiseSubject,
  residuals: readonly Expression[],
): readonly Value[] {
  const sign = raisable.order === 'descending' ? -1 : 1;
  const distinct = new Map(
    residuals
      .flatMap((residual) => deriveValues(residual, path, now))
      .map((value) => [keyOf(value), value]),
  );
  const higher = [...distinct.values()].filter((value) => {
    if (now === undefined) return true;
    const direction = compareHeights(value, now);
    return direction === undefined ? !equals(value, now) : direction * sign > 0;
  });
  // Values of different kinds have no order between them: one kind after the other.
  return [...Map.groupBy(higher, (value) => heightOf(value)?.kind).values()].flatMap((alike) =>
    alike.sort((one, other) => (compareHeights(one, other) ?? 0) * sign),
  );
}

/** Which of two values of one kind is higher; nothing where neither is. */
function compareHeights(one: Value, other: Value): number | undefined {
  const [mine, theirs] = [heightOf(one), heightOf(other)];
  if (!mine || !theirs || mine.kind !== theirs.kind) return undefined;
  if (mine.height === theirs.height) return mine.kind === 'set' ? undefined : 0;
  return mine.height < theirs.height ? -1 : 1;
}

function heightOf(value: Value): { readonly kind: string; readonly height: Long } | undefined {
  switch (typeof value) {
    case 'boolean':
      return { kind: 'boolean', height: Number(value) };
    case 'number':
    case 'bigint':
      return { kind: 'long', height: value };
    case 'string':
      return undefined;
    default:
      break;
  }
  switch (value.kind) {
    case 'set':
      return { kind: 'set', height: value.elements.length };
    case 'decimal':
      return { kind: 'decimal', height: value.scaled };
    case 'datetime':
    case 'duration':
      return { kind: value.kind, height: value.ms };
    default:
      return undefined;
  }
}
