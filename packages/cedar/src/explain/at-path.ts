import type { CedarJson } from '../engine.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import type { Value } from '../value/value.ts';

/** What stands at a path, if anything does. */
export function valueAt(record: CedarRecord, path: readonly string[]): Value | undefined {
  let value: Value | undefined = record;
  for (const name of path) value = value instanceof CedarRecord ? value.get(name) : undefined;
  return value;
}

/** The record without what stands at a path. */
export function withoutPath(record: CedarRecord, [name, ...rest]: readonly string[]): CedarRecord {
  const fields = [...record.entries()].flatMap(([each, value]): [string, Value][] => {
    if (each !== name) return [[each, value]];
    if (rest.length === 0) return [];
    return [[each, value instanceof CedarRecord ? withoutPath(value, rest) : value]];
  });
  return CedarRecord.of(fields);
}

type JsonRecord = { readonly [name: string]: CedarJson };

/** A context's JSON with a value put at a path, and records made on the way there. */
export function jsonWith(
  json: JsonRecord,
  [name, ...rest]: readonly string[],
  value: CedarJson,
): JsonRecord {
  if (name === undefined) return json;
  const inner = Object.getOwnPropertyDescriptor(json, name)?.value;
  const changed = rest.length === 0 ? value : jsonWith(isRecord(inner) ? inner : {}, rest, value);
  // `fromEntries` defines: an attribute called `__proto__` is one like any other.
  return Object.fromEntries([...Object.entries(json), [name, changed]]);
}

function isRecord(json: unknown): json is JsonRecord {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
