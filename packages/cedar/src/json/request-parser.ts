import type { Request } from '../authorize/request.ts';
import type { ActionType, Schema } from '../schema/schema.ts';
import type { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { type RecordParser, TypedParsers, type UidParser } from './parse-typed.ts';
import { parseUid, readTypeAndId, readTypeAndIdAt } from './parse-uid.ts';
import { parseUntyped } from './parse-untyped.ts';
import { describe, isReadable, Refusal, within } from './refusal.ts';

export interface RequestParserOptions {
  /**
   * False to take any principal, resource and types within the context; a context is then still read by its
   * type, and the action must be declared. True unless given. Without a schema it changes nothing.
   */
  readonly validateRequest?: boolean;
}

/** @throws {Refusal} */
export type RequestParser = (json: unknown, options?: RequestParserOptions) => Request;

/** Reads a request when there is no schema. */
export function untypedRequestParser(json: unknown): Request {
  if (!isReadable(json)) throw new Refusal(describe(json), 'an object');
  let step = 'principal';
  try {
    const principal = parseUid(json['principal']);
    step = 'action';
    const action = parseUid(json['action']);
    step = 'resource';
    const resource = parseUid(json['resource']);
    step = 'context';
    return { principal, action, resource, context: parseUntypedContext(json['context']) };
  } catch (error) {
    throw within(error, step);
  }
}

function parseUntypedContext(json: unknown): CedarRecord {
  // An object in which an escape is no record.
  const context = parseUntyped(json);
  if (typeof context === 'object' && context.kind === 'record') return context;
  throw new Refusal(describe(json), 'an object that is a record');
}

/** What is known of the requests for one action. */
interface TypedRequest {
  readonly action: EntityUid;
  readonly principals: ReadonlyMap<string, UidParser>;
  readonly resources: ReadonlyMap<string, UidParser>;
  readonly parseContext: RecordParser;
}

/** Makes a parser that holds requests against a schema; each action is compiled when its first request comes. */
export function typedRequestParser(schema: Schema, types: TypedParsers): RequestParser {
  const lenient = new TypedParsers(schema, { conforms: false });
  /** By type, then by id: two look-ups are cheaper than making a key. */
  const compiled = new Map<string, Map<string, TypedRequest>>();

  function compile(type: string, id: string): TypedRequest {
    const action = findAction(schema, type, id);
    const request = {
      action: action.uid,
      principals: uidParsers(action.principalTypes, types),
      resources: uidParsers(action.resourceTypes, types),
      parseContext: types.record(action.context),
    };
    const ofType = compiled.get(type) ?? new Map<string, TypedRequest>();
    compiled.set(action.uid.type, ofType.set(action.uid.id, request));
    return request;
  }

  return (json, options) => {
    if (!isReadable(json)) throw new Refusal(describe(json), 'an object');
    const { type, id } = readTypeAndIdAt('action', json, 'an action');
    if (options?.validateRequest === false) {
      const { uid, context } = findAction(schema, type, id);
      return parseLeniently(json, uid, lenient.record(context));
    }
    const request = compiled.get(type)?.get(id) ?? compile(type, id);
    let step = 'principal';
    try {
      const principal = parseApplicable(json['principal'], request.principals);
      step = 'resource';
      const resource = parseApplicable(json['resource'], request.resources);
      step = 'context';
      const context = request.parseContext(json['context']);
      return { principal, action: request.action, resource, context };
    } catch (error) {
      throw within(error, step);
    }
  };
}

function parseLeniently(
  json: { readonly [name: string]: unknown },
  action: EntityUid,
  parseContext: RecordParser,
): Request {
  return {
    principal: parseAt('principal', json, parseUid),
    action,
    resource: parseAt('resource', json, parseUid),
    context: parseAt('context', json, parseContext),
  };
}

function findAction(schema: Schema, type: string, id: string): ActionType {
  const uid = new EntityUid(type, id);
  const action = schema.actions.get(uid.key);
  if (action === undefined)
    throw new Refusal(`action ${uid}`, 'one that the schema declares').within('action');
  return action;
}

function uidParsers(names: ReadonlySet<string>, types: TypedParsers): Map<string, UidParser> {
  return new Map([...names].map((name) => [name, types.uid(name)]));
}

function parseApplicable(json: unknown, parsers: ReadonlyMap<string, UidParser>): EntityUid {
  const { type, id } = readTypeAndId(json, 'an entity');
  const parseId = parsers.get(type);
  if (parseId === undefined) {
    throw new Refusal(
      `an entity of type ${describe(type)}`,
      parsers.size === 0
        ? 'no request for this action'
        : `one of ${[...parsers.keys()].join(', ')}`,
    );
  }
  return parseId(id);
}

function parseAt<T>(
  step: string,
  json: { readonly [name: string]: unknown },
  parse: (json: unknown) => T,
): T {
  try {
    return parse(json[step]);
  } catch (error) {
    throw within(error, step);
  }
}
