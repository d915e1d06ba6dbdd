import { LIMITS } from '../limits.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { longOf, longOfNumber } from '../value/long.ts';
import type { Value } from '../value/value.ts';
import { LayoutCache } from './layout-cache.ts';
import { callExtension, readCall } from './parse-extension.ts';
import { isTypeAndId, uidOf, wellFormed } from './parse-uid.ts';
import { describe, isPlainObject, type JsonObject, Refusal, within } from './refusal.ts';
import { takeValues } from './value-budget.ts';

const layouts = new LayoutCache();

/** A value where no type is known: entities and extension values only in `__entity` and `__extn`. */
export function parseUntyped(json: unknown): Value {
  return parseAt(json, 1);
}

/** The attributes of an entity whose type is not known: names and values, never an escape. */
export function parseUntypedAttributes(json: unknown): CedarRecord {
  if (!isPlainObject(json)) throw new Refusal(describe(json), 'an object');
  return parseRecord(json, Object.keys(json), 1);
}

function parseAt(json: unknown, depth: number): Value {
  if (depth > LIMITS.valueNesting) {
    throw new Refusal('a value', `at most ${LIMITS.valueNesting} levels`);
  }
  switch (typeof json) {
    case 'string':
      return wellFormed(json);
    case 'boolean':
      return json;
    case 'number':
    case 'bigint':
      return parseLong(json);
    default:
      break;
  }
  if (Array.isArray(json)) return parseSet(json, depth);
  if (!isPlainObject(json)) throw new Refusal(describe(json), 'a value');
  const names = Object.keys(json);
  const escaped = names.length === 1 ? parseEscape(json, names[0] as string, depth) : undefined;
  return escaped ?? parseRecord(json, names, depth);
}

/** A number was rounded before we saw it when it is beyond 2^53: refused, never decided upon. */
export function parseLong(json: unknown): number | bigint {
  const long =
    typeof json === 'number'
      ? longOfNumber(json)
      : typeof json === 'bigint'
        ? longOf(json)
        : undefined;
  if (long !== undefined) return long;
  throw typeof json === 'number'
    ? new Refusal(`${json}`, 'an integer from -(2^53-1) to 2^53-1, or a bigint')
    : new Refusal(describe(json), 'an integer of 64 bits');
}

function parseSet(json: readonly unknown[], depth: number): CedarSet {
  const { length } = json;
  takeValues(length);
  const elements = new Array<Value>(length);
  let index = 0;
  try {
    for (; index < length; index += 1) elements[index] = parseAt(json[index], depth + 1);
  } catch (error) {
    throw within(error, index);
  }
  return CedarSet.of(elements);
}

function parseRecord(json: JsonObject, names: readonly string[], depth: number): CedarRecord {
  const { length } = names;
  if (length === 0) return CedarRecord.empty;
  takeValues(length);
  const slots = new Array<Value>(length);
  let index = 0;
  try {
    for (; index < length; index += 1) {
      slots[index] = parseAt(json[wellFormed(names[index] as string)], depth + 1);
    }
  } catch (error) {
    throw within(error, names[index] as string);
  }
  return new CedarRecord(layouts.of(names), slots);
}

/** Nothing when it is a record after all: so the official engine takes an escape that is not well-made. */
function parseEscape(json: JsonObject, name: string, depth: number): Value | undefined {
  const escaped = json[name];
  switch (name) {
    case '__entity':
      if (!isPlainObject(escaped) || !isTypeAndId(escaped)) return undefined;
      if (Object.keys(escaped).length > 2) passOver(escaped, depth + 1);
      return uidOf(escaped.type, escaped.id);
    case '__extn': {
      const call = readCall(escaped);
      if (call === undefined) return undefined;
      if (Object.keys(escaped as object).length > 2) passOver(escaped, depth + 1);
      return callExtension(call, (argument) => parseAt(argument, depth + 2));
    }
    case '__expr':
      if (typeof escaped === 'string') throw new Refusal('__expr', 'a value');
      return undefined;
    default:
      return undefined;
  }
}

/** What stands beside the names of an escape says nothing, but must be JSON that the official engine could read. */
function passOver(json: unknown, depth: number): void {
  if (json === null) return;
  if (typeof json !== 'object') {
    parseAt(json, depth);
    return;
  }
  if (depth > LIMITS.valueNesting) {
    throw new Refusal('a value', `at most ${LIMITS.valueNesting} levels`);
  }
  if (!Array.isArray(json) && !isPlainObject(json)) throw new Refusal(describe(json), 'a value');
  const values: readonly unknown[] = Object.values(json);
  takeValues(values.length);
  for (const each of values) passOver(each, depth + 1);
}
