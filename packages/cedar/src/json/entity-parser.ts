import type { Entity } from '../entity/entity-view.ts';
import { isActionType } from '../schema/is-action-type.ts';
import type { ActionType, Schema } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import type { RecordParser, TypedParsers, UidParser, ValueParser } from './parse-typed.ts';
import { parseUid, readTypeAndId, readTypeAndIdAt, wellFormed } from './parse-uid.ts';
import { parseUntyped, parseUntypedAttributes } from './parse-untyped.ts';
import { describe, isPlainObject, isReadable, Refusal, within } from './refusal.ts';
import { takeValues } from './value-budget.ts';

/** @throws {Refusal} */
export type EntityParser = (json: unknown) => Entity;

type Tags = ReadonlyMap<string, Value> | undefined;

/** Reads an entity when there is no schema. Only an action's parents are held against anything. */
export function untypedEntityParser(json: unknown): Entity {
  if (!isReadable(json)) throw new Refusal(describe(json), 'an object');
  let step = 'uid';
  try {
    const uid = parseUid(json['uid']);
    step = 'attrs';
    const attributes = parseUntypedAttributes(json['attrs']);
    step = 'parents';
    const parents = parseParents(json['parents'], parseUid);
    if (isActionType(uid.type)) refuseOtherParents(parents);
    step = 'tags';
    return { uid, attributes, tags: parseTags(json['tags'], parseUntyped), parents };
  } catch (error) {
    throw within(error, step);
  }
}

/** What is known of the entities of one type. */
interface TypedEntity {
  readonly parseId: UidParser;
  readonly parseAttributes: RecordParser;
  readonly parseTag: ValueParser;
  readonly parseParent: (json: unknown) => EntityUid;
}

/** Makes a parser that holds entities against a schema; each type is compiled when its first entity comes. */
export function typedEntityParser(schema: Schema, types: TypedParsers): EntityParser {
  const compiled = new Map<string, TypedEntity>();

  function compile(name: string): TypedEntity {
    const type = schema.entityTypes.get(name);
    if (type === undefined) {
      throw new Refusal(`type ${describe(name)}`, 'one that the schema declares');
    }
    const entity = {
      parseId: types.uid(type.name),
      parseAttributes: types.record(type.shape),
      parseTag: type.tags === undefined ? refuseTag : types.of(type.tags),
      parseParent: parentParser(ancestorTypes(schema, name), types),
    };
    compiled.set(type.name, entity);
    return entity;
  }

  return (json) => {
    if (!isReadable(json)) throw new Refusal(describe(json), 'an object');
    const { type, id } = readTypeAndIdAt('uid', json, 'an entity');
    if (isActionType(type)) return parseAction(schema, json);
    let step = 'uid';
    try {
      const entity = compiled.get(type) ?? compile(type);
      const uid = entity.parseId(id);
      step = 'attrs';
      const attributes = entity.parseAttributes(json['attrs']);
      step = 'parents';
      const parents = parseParents(json['parents'], entity.parseParent);
      step = 'tags';
      const tags = json['tags'];
      return {
        uid,
        attributes,
        tags: tags === undefined ? undefined : parseTags(tags, entity.parseTag),
        parents,
      };
    } catch (error) {
      throw within(error, step);
    }
  };
}

/** An action among the entities adds nothing to the schema: it must be exactly what the schema declares. */
function parseAction(schema: Schema, json: unknown): Entity {
  const entity = untypedEntityParser(json);
  const action = schema.actions.get(entity.uid.key);
  if (action === undefined) {
    throw new Refusal(`action ${entity.uid}`, 'one that the schema declares').within('uid');
  }
  if (!matches(entity, action, schema)) {
    throw new Refusal(`action ${entity.uid}`, 'it as the schema declares it').within('uid');
  }
  return { ...entity, uid: action.uid };
}

/** Whether parents and what is above them are the groups of the action; actions have nothing else. */
function matches(
  { attributes, tags, parents }: Entity,
  action: ActionType,
  schema: Schema,
): boolean {
  if (attributes.layout.names.length > 0 || tags !== undefined) return false;
  const ancestors = new Set<string>();
  for (const { key } of parents) {
    ancestors.add(key);
    for (const above of schema.actions.get(key)?.ancestors ?? []) ancestors.add(above);
  }
  return (
    ancestors.size === action.ancestors.size &&
    [...action.ancestors].every((each) => ancestors.has(each))
  );
}

/**
 * All types above a type. The official engine takes a direct parent of any of them, though the schema would
 * have other entities in between.
 */
function ancestorTypes(schema: Schema, name: string): ReadonlySet<string> {
  const above = new Set<string>();
  const pending = [name];
  for (let each = pending.pop(); each !== undefined; each = pending.pop()) {
    for (const parent of schema.entityTypes.get(each)?.memberOfTypes ?? []) {
      if (above.has(parent)) continue;
      above.add(parent);
      pending.push(parent);
    }
  }
  return above;
}

function parentParser(
  names: ReadonlySet<string>,
  types: TypedParsers,
): (json: unknown) => EntityUid {
  const byType = new Map([...names].map((name) => [name, types.uid(name)]));
  return (json) => {
    const { type, id } = readTypeAndId(json, 'an entity');
    const parseId = byType.get(type);
    if (parseId === undefined) {
      throw new Refusal(
        `an entity of type ${describe(type)}`,
        names.size === 0 ? 'no parent' : `one of ${[...names].join(', ')}`,
      );
    }
    return parseId(id);
  };
}

const NO_PARENTS: readonly EntityUid[] = [];

function parseParents(
  json: unknown,
  parseParent: (json: unknown) => EntityUid,
): readonly EntityUid[] {
  if (!Array.isArray(json)) throw new Refusal(describe(json), 'a list');
  const { length } = json;
  if (length === 0) return NO_PARENTS;
  takeValues(length);
  const parents = new Array<EntityUid>(length);
  let index = 0;
  try {
    for (; index < length; index += 1) parents[index] = parseParent(json[index]);
  } catch (error) {
    throw within(error, index);
  }
  return parents;
}

function refuseOtherParents(parents: readonly EntityUid[]): void {
  const index = parents.findIndex(({ type }) => !isActionType(type));
  if (index >= 0) throw new Refusal(`${parents[index]}`, 'an action').within(index);
}

/** Tags are a name space of their own and of any size: a map, no record. Nothing where there are none. */
function parseTags(json: unknown, parseTag: ValueParser): Tags {
  if (json === undefined) return undefined;
  if (!isPlainObject(json)) throw new Refusal(describe(json), 'an object');
  const names = Object.keys(json);
  if (names.length === 0) return undefined;
  takeValues(names.length);
  const tags = new Map<string, Value>();
  for (const name of names) {
    try {
      tags.set(wellFormed(name), parseTag(json[name]));
    } catch (error) {
      throw within(error, name);
    }
  }
  return tags;
}

function refuseTag(json: unknown): never {
  throw new Refusal(describe(json), 'no tag');
}
