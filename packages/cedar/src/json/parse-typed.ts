import { isActionType } from '../schema/is-action-type.ts';
import type { RecordType, Schema, SchemaType } from '../schema/schema.ts';
import { CedarRecord, Layout } from '../value/cedar-record.ts';
import { CedarSet } from '../value/cedar-set.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import type { ExtensionKind } from './extension-functions.ts';
import { nameKind, parseImplicitExtension } from './parse-extension.ts';
import { parseUid, readTypeAndId, wellFormed } from './parse-uid.ts';
import { parseLong, parseUntyped } from './parse-untyped.ts';
import { describe, isPlainObject, Refusal, within } from './refusal.ts';
import { takeValues } from './value-budget.ts';

/** @throws {Refusal} */
export type ValueParser = (json: unknown) => Value;
export type RecordParser = (json: unknown) => CedarRecord;
/** The id of an entity of one type, checked: declared where the type is an enum or an action's. */
export type UidParser = (id: string) => EntityUid;

/**
 * Makes parsers for types, one for each type however often it is named.
 *
 * A parser that conforms refuses what is not of its type. One that does not reads as the official engine reads
 * a context whose validation is switched off: the type only says where escapes can be left out, which names
 * a record has, and that a set or record is one.
 */
export class TypedParsers {
  readonly #schema: Schema;
  readonly #conforms: boolean;
  readonly #parsers = new Map<SchemaType, ValueParser>();
  readonly #uidParsers = new Map<string, UidParser>();

  constructor(schema: Schema, { conforms }: { readonly conforms: boolean }) {
    this.#schema = schema;
    this.#conforms = conforms;
  }

  of(type: SchemaType): ValueParser {
    const known = this.#parsers.get(type);
    if (known !== undefined) return known;
    const parser = this.#compile(type);
    this.#parsers.set(type, parser);
    return parser;
  }

  record(type: RecordType): RecordParser {
    return this.of(type) as RecordParser;
  }

  /** For entities of one type; ids are not looked at when nothing is to conform. */
  uid(name: string): UidParser {
    const known = this.#uidParsers.get(name);
    if (known !== undefined) return known;
    const parser = this.#compileUid(name);
    this.#uidParsers.set(name, parser);
    return parser;
  }

  #compile(type: SchemaType): ValueParser {
    switch (type.kind) {
      case 'boolean':
        return this.#conforms ? parseBoolean : parseUntyped;
      case 'long':
        return this.#conforms ? parseLongOnly : parseUntyped;
      case 'string':
        return this.#conforms ? parseString : parseUntyped;
      case 'decimal':
      case 'datetime':
      case 'duration':
      case 'ipaddr':
        return this.#conforms
          ? extensionParser(type.kind)
          : (json) => parseImplicitExtension(json, type.kind);
      case 'entity':
        return this.#conforms ? entityParser(type.name, this.uid(type.name)) : parseUid;
      case 'set':
        return setParser(this.of(type.element));
      case 'record':
        return recordParser(type, (each) => this.of(each));
    }
  }

  #compileUid(name: string): UidParser {
    const ids = this.#schema.entityTypes.get(name)?.enumIds ?? this.#actionIds(name);
    if (ids === undefined) return (id) => new EntityUid(name, wellFormed(id));
    // One object for each: there are few, and their keys are made once.
    const uids = new Map([...ids].map((id) => [id, new EntityUid(name, id)]));
    return (id) => {
      const uid = uids.get(id);
      if (uid === undefined) throw new Refusal(describe(id), `an id that ${name} declares`);
      return uid;
    };
  }

  /** The ids of an action's type; nothing for other types. */
  #actionIds(name: string): Iterable<string> | undefined {
    if (!isActionType(name)) return undefined;
    return [...this.#schema.actions.values()]
      .filter(({ uid }) => uid.type === name)
      .map(({ uid }) => uid.id);
  }
}

function parseBoolean(json: unknown): boolean {
  if (typeof json !== 'boolean') throw new Refusal(describe(json), 'a boolean');
  return json;
}

function parseLongOnly(json: unknown): Value {
  return parseLong(json);
}

function parseString(json: unknown): string {
  if (typeof json !== 'string') throw new Refusal(describe(json), 'a string');
  return wellFormed(json);
}

function extensionParser(kind: ExtensionKind): ValueParser {
  return (json) => {
    const value = parseImplicitExtension(json, kind);
    if (typeof value !== 'object' || value.kind !== kind) {
      throw new Refusal(describe(json), nameKind(kind));
    }
    return value;
  };
}

function entityParser(name: string, parseId: UidParser): ValueParser {
  const expected = `an entity of type '${name}'`;
  return (json) => {
    const { type, id } = readTypeAndId(json, expected);
    if (type !== name) throw new Refusal(`an entity of type ${describe(type)}`, expected);
    return parseId(id);
  };
}

function setParser(parseElement: ValueParser): ValueParser {
  return (json) => {
    if (!Array.isArray(json)) throw new Refusal(describe(json), 'a list');
    const { length } = json;
    if (length === 0) return CedarSet.empty;
    takeValues(length);
    const elements = new Array<Value>(length);
    let index = 0;
    try {
      for (; index < length; index += 1) elements[index] = parseElement(json[index]);
    } catch (error) {
      throw within(error, index);
    }
    return CedarSet.of(elements);
  };
}

/** What a record's parser knows of one attribute. */
interface Attribute {
  readonly name: string;
  readonly parse: ValueParser;
  readonly isRequired: boolean;
  /** The slot of the attribute that last came after this one: most records of a type are written in one order. */
  successor: number;
}

function recordParser(type: RecordType, compile: (type: SchemaType) => ValueParser): RecordParser {
  const attributes = [...type.attributes].map(
    ([name, { type, required }], slot): Attribute => ({
      name,
      parse: compile(type),
      isRequired: required,
      successor: slot + 1,
    }),
  );
  const layout = new Layout([...type.attributes.keys()]);
  const blank: (Value | undefined)[] = attributes.map(() => undefined);
  const empty = new CedarRecord(layout, blank);
  const requiredCount = attributes.filter((each) => each.isRequired).length;
  const start = { successor: 0 };

  return (json) => {
    if (!isPlainObject(json)) throw new Refusal(describe(json), 'an object');
    const slots = blank.slice();
    let previous: { successor: number } = start;
    let count = 0;
    let requiredSeen = 0;
    let current = '';
    try {
      // `for in` because engines read the values along with the names, in any record, while reading by a
      // name that varies is a search. INVARIANT: nothing is inherited, by `refusePollution`.
      for (const name in json) {
        current = name;
        let slot = previous.successor;
        let attribute = attributes[slot];
        if (attribute === undefined || attribute.name !== name) {
          slot = layout.slotOf(name);
          attribute = attributes[slot];
          if (attribute === undefined)
            throw new Refusal(describe(json[name]), 'no attribute of that name');
          previous.successor = slot;
        }
        slots[slot] = attribute.parse(json[name]);
        if (attribute.isRequired) requiredSeen += 1;
        count += 1;
        previous = attribute;
      }
    } catch (error) {
      throw within(error, current);
    }
    takeValues(count);
    if (requiredSeen < requiredCount) throw missing(attributes, slots);
    return count === 0 ? empty : new CedarRecord(layout, slots);
  };
}

function missing(attributes: readonly Attribute[], slots: readonly (Value | undefined)[]): Refusal {
  const attribute = attributes.find((each, slot) => each.isRequired && slots[slot] === undefined);
  return new Refusal('nothing', 'a required attribute').within(attribute?.name ?? '');
}
