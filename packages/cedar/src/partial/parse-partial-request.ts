import type { CedarJson, CedarUid } from '../engine.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import type { JsonParser } from '../json/create-json-parser.ts';
import type { ActionType, RecordType, Schema } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { ContextFault, openContext } from './open-context.ts';
import type { ParsedPartialRequest, PartialUid } from './partial-environment.ts';
import type { PartialRequest, UnknownEntity } from './partial-request.ts';
import type { OpenRecord } from './shape.ts';

/**
 * Parses what is known of a request and, with a schema, holds it against the schema.
 *
 * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` for what no completion could be
 */
export function parsePartialRequest(
  request: PartialRequest,
  { parser, schema }: { readonly parser: JsonParser; readonly schema: Schema | undefined },
): ParsedPartialRequest {
  const action = parsePartialUid(request.action, 'action', parser);
  const declared = schema && declaredAction(action, schema);
  const entity = (name: 'principal' | 'resource'): PartialUid => {
    const uid = parsePartialUid(request[name], name, parser);
    return declared ? admitted(uid, name, declared) : uid;
  };
  return {
    principal: entity('principal'),
    action,
    resource: entity('resource'),
    context: parseContext(request, { parser, type: declared?.context }),
  };
}

function parsePartialUid(
  json: CedarUid | UnknownEntity,
  name: string,
  parser: JsonParser,
): PartialUid {
  if (json.id !== undefined) return reread(() => parser.parseUid(json), name);
  if (json.type === undefined || typeof json.type === 'string') return { type: json.type };
  throw invalid(`cannot read the request: found a type that is no text`, name);
}

function declaredAction(action: PartialUid, schema: Schema): ActionType | undefined {
  if (!(action instanceof EntityUid)) return undefined;
  const declared = schema.actions.get(action.key);
  if (declared) return declared;
  throw invalid(`cannot read the request: found '${action}', expected a declared action`, 'action');
}

/** Held against the types that the action applies to; an unknown entity is of the only type there is. */
function admitted(
  uid: PartialUid,
  name: 'principal' | 'resource',
  { principalTypes, resourceTypes }: ActionType,
): PartialUid {
  const types = name === 'principal' ? principalTypes : resourceTypes;
  if (uid.type === undefined) return { type: types.size === 1 ? [...types][0] : undefined };
  if (types.has(uid.type)) return uid;
  const expected = [...types].sort().join(', ');
  throw invalid(`cannot read the request: found '${uid.type}', expected one of ${expected}`, name);
}

interface Context {
  readonly parser: JsonParser;
  readonly type: RecordType | undefined;
}

function parseContext(
  { context, unknownContext = [] }: PartialRequest,
  { parser, type }: Context,
): CedarRecord | OpenRecord {
  const isRest = unknownContext === 'rest';
  const paths = isRest ? [] : unknownContext.map(({ path }) => path);
  const known = parseKnown(context, paths, { parser, type, isRest, at: 'context' });
  if (!isRest && paths.length === 0) return known;
  const open = openContext(known, unknownContext, type);
  if (open instanceof ContextFault) {
    throw invalid(`cannot read the request: ${open.message}`, 'context');
  }
  return open;
}

/** The known attributes of a record in which some are not. */
function parseKnown(
  json: CedarJson,
  unknown: readonly (readonly string[])[],
  { at, isRest, type, ...rest }: Context & { readonly at: string; readonly isRest: boolean },
): CedarRecord {
  if (typeof json !== 'object' || Array.isArray(json)) {
    throw invalid('cannot read the request: expected a record', at);
  }
  const inner = Map.groupBy(unknown, ([name]) => name);
  const fields = Object.entries(json).map(([name, value]): [string, Value] => {
    const path = `${at}.${name}`;
    const declared = type?.attributes.get(name);
    if (type && !declared) throw invalid('cannot read the request: found no such attribute', path);
    const within = (inner.get(name) ?? []).map((each) => each.slice(1));
    if (within.length === 0 || within.some((each) => each.length === 0)) {
      return [name, reread(() => rest.parser.parseValue(value, declared?.type), path)];
    }
    const record = declared?.type.kind === 'record' ? declared.type : undefined;
    return [name, parseKnown(value, within, { ...rest, at: path, isRest: false, type: record })];
  });
  const names = new Set(fields.map(([name]) => name));
  for (const [name, { required }] of type?.attributes ?? []) {
    if (!required || isRest || names.has(name) || inner.has(name)) continue;
    throw invalid(`cannot read the request: expected the attribute '${name}'`, at);
  }
  return CedarRecord.of(fields);
}

/** Says where in the request a part that was read by itself stands. */
function reread<T>(read: () => T, path: string): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CedarDataError) throw invalid(error.message, path);
    throw error;
  }
}

function invalid(message: string, path: string): CedarDataError {
  return new CedarDataError('ERR_CEDAR_REQUEST_INVALID', message, path);
}
