import type { CedarJson } from '../engine.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import type { JsonParser } from '../json/create-json-parser.ts';
import type { ActionType, RecordType, Schema, SchemaType } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { keyOf } from '../value/key-of.ts';
import type { Value } from '../value/value.ts';
import { ContextFault, faultOfLength, openContext } from './open-context.ts';
import type { PartialRequest, UnknownAttribute } from './partial-request.ts';
import type { OpenRecord } from './shape.ts';
import { readAt, unreadable } from './unreadable.ts';

/**
 * Parses what is known of a context. What the JSON says depends on the type, and the type on the action: where
 * the action is unknown, an attribute that would be read in several ways is unknown.
 */
export function parsePartialContext(
  { context: json, unknownContext: unknown = [] }: PartialRequest,
  {
    action,
    parser,
    schema,
  }: {
    readonly action: ActionType | undefined;
    readonly parser: JsonParser;
    readonly schema: Schema | undefined;
  },
): CedarRecord | OpenRecord {
  const isRest = unknown === 'rest';
  const tooLong = isRest ? undefined : faultOfLength(unknown);
  if (tooLong) throw unreadable(tooLong.message, 'context');
  const types = action ? [action] : schema && [...schema.actions.values()];
  const reader = new ContextReader(parser);
  const known = reader.read(json, {
    at: [],
    types: types?.map(({ context }) => context),
    unknown: isRest ? [] : unknown.map(({ path }) => path),
  });
  if (action && !isRest) reader.expectRequired(action.context, known, unknown);
  const { ambiguous } = reader;
  if (!isRest && unknown.length === 0 && ambiguous.length === 0) return known;

  // With an ambiguous attribute the action is unknown, and so is what else there may be.
  const open = isRest
    ? openContext(known, 'rest', action?.context)
    : openContext(known, [...unknown, ...ambiguous], action?.context);
  if (open instanceof ContextFault) throw unreadable(open.message, 'context');
  if (!isRest || ambiguous.length === 0) return open;
  const present = openContext(known, ambiguous, undefined);
  if (present instanceof ContextFault) throw unreadable(present.message, 'context');
  return { ...present, hasRest: true };
}

/** Where a record stands, what types it may be of, and what in it is unknown. */
interface Place {
  readonly at: readonly string[];
  /** Nothing without a schema. */
  readonly types: readonly RecordType[] | undefined;
  readonly unknown: readonly (readonly string[])[];
}

class ContextReader {
  readonly #parser: JsonParser;
  /** Attributes that are there, and of which the value depends on the action. */
  readonly ambiguous: UnknownAttribute[] = [];

  constructor(parser: JsonParser) {
    this.#parser = parser;
  }

  read(json: CedarJson, { at, types, unknown }: Place): CedarRecord {
    if (typeof json !== 'object' || Array.isArray(json)) {
      throw unreadable('expected a record', nameOf(at));
    }
    const inner = Map.groupBy(unknown, ([name]) => name);
    const fields = Object.entries(json).flatMap(([name, value]): [string, Value][] => {
      const path = [...at, name];
      if (ESCAPES.has(name)) throw unreadable(`found ${name}, expected a record`, nameOf(at));
      const declared = types?.flatMap((type) => type.attributes.get(name)?.type ?? []);
      if (declared?.length === 0) throw unreadable('found no such attribute', nameOf(path));
      const within = (inner.get(name) ?? []).map((each) => each.slice(1));
      if (within.length > 0 && within.every((each) => each.length > 0)) {
        const records = declared?.filter((type) => type.kind === 'record');
        return [[name, this.read(value, { at: path, types: records, unknown: within })]];
      }
      const read = this.#readValue(value, path, declared);
      return read === undefined ? [] : [[name, read]];
    });
    return CedarRecord.of(fields);
  }

  /** @returns nothing when it is ambiguous */
  #readValue(
    json: CedarJson,
    path: readonly string[],
    types: readonly SchemaType[] | undefined,
  ): Value | undefined {
    if (!types) return readAt(nameOf(path), () => this.#parser.parseValue(json));
    const values = new Map<string, Value>();
    let refusal: unknown;
    for (const type of types) {
      try {
        const value = readAt(nameOf(path), () => this.#parser.parseValue(json, type));
        values.set(keyOf(value), value);
      } catch (error) {
        if (!(error instanceof CedarDataError)) throw error;
        refusal = error;
      }
    }
    const [first, second] = values.values();
    if (first === undefined) throw refusal;
    if (second === undefined) return first;
    this.ambiguous.push({ path, isPresent: true });
    return undefined;
  }

  expectRequired(
    { attributes }: RecordType,
    known: CedarRecord,
    unknown: readonly UnknownAttribute[],
  ): void {
    for (const [name, { required }] of attributes) {
      if (!required || known.get(name) !== undefined) continue;
      if (unknown.some(({ path }) => path[0] === name)) continue;
      throw unreadable(`expected the attribute '${name}'`, 'context');
    }
  }
}

/** A record in which one of these stands is an entity or a call. */
const ESCAPES: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr']);

function nameOf(path: readonly string[]): string {
  return ['context', ...path].join('.');
}
