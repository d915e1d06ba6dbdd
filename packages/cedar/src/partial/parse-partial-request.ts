import type { CedarUid } from '../engine.ts';
import type { JsonParser } from '../json/create-json-parser.ts';
import type { ActionType, Schema } from '../schema/schema.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { parsePartialContext } from './parse-partial-context.ts';
import type { ParsedPartialRequest, PartialUid } from './partial-environment.ts';
import type { PartialRequest, UnknownEntity } from './partial-request.ts';
import { readAt, unreadable } from './unreadable.ts';

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
    context: parsePartialContext(request, { parser, action: declared, schema }),
  };
}

function parsePartialUid(
  json: CedarUid | UnknownEntity,
  name: string,
  parser: JsonParser,
): PartialUid {
  if (json.id !== undefined) return readAt(name, () => parser.parseUid(json));
  if (json.type === undefined || typeof json.type === 'string') return { type: json.type };
  throw unreadable('found a type that is no text', name);
}

function declaredAction(action: PartialUid, schema: Schema): ActionType | undefined {
  if (!(action instanceof EntityUid)) return undefined;
  const declared = schema.actions.get(action.key);
  if (declared) return declared;
  throw unreadable(`found '${action}', expected a declared action`, 'action');
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
  throw unreadable(`found '${uid.type}', expected one of ${expected}`, name);
}
