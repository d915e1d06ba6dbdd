import { EntityUid } from '../value/entity-uid.ts';
import { describe, isReadable, type JsonObject, Refusal, within } from './refusal.ts';
import { readTypeName } from './type-name.ts';

/** `{type, id}` of an entity reference, found but not looked at. */
export interface TypeAndId {
  readonly type: string;
  readonly id: string;
}

/**
 * Finds the reference in `{type, id}` or `{"__entity": {type, id}}`. Other names beside them are passed over, as
 * the official engine does where it expects an entity.
 */
export function readTypeAndId(json: unknown, expected: string): TypeAndId {
  if (!isReadable(json)) throw new Refusal(describe(json), expected);
  if (typeof json['__expr'] === 'string') throw new Refusal('__expr', expected);
  const escaped = json['__entity'];
  if (escaped !== undefined && isReadable(escaped) && isTypeAndId(escaped)) return escaped;
  if (isTypeAndId(json)) return json;
  throw new Refusal('no type and id', expected);
}

/** The reference at one name of an object. */
export function readTypeAndIdAt(step: string, json: JsonObject, expected: string): TypeAndId {
  try {
    return readTypeAndId(json[step], expected);
  } catch (error) {
    throw within(error, step);
  }
}

export function isTypeAndId(json: JsonObject): json is JsonObject & TypeAndId {
  return typeof json['type'] === 'string' && typeof json['id'] === 'string';
}

/** A reference of any type. */
export function parseUid(json: unknown): EntityUid {
  const { type, id } = readTypeAndId(json, 'an entity');
  return uidOf(type, id);
}

export function uidOf(type: string, id: string): EntityUid {
  const name = readTypeName(type);
  if (name === undefined) throw new Refusal(describe(type), 'the name of an entity type');
  return new EntityUid(name, wellFormed(id));
}

/** Half a surrogate pair would become U+FFFD on its way to anywhere, and two different names one. */
export function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw new Refusal('half a surrogate pair', 'Unicode text');
  return text;
}
