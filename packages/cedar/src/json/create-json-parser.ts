import type { Request } from '../authorize/request.ts';
import type { CedarEntity, CedarJson, CedarRequest, CedarUid } from '../engine.ts';
import type { Entity } from '../entity/entity-view.ts';
import type { Schema, SchemaType } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';
import { CedarDataError, type CedarDataErrorCode } from './cedar-data-error.ts';
import { type EntityParser, typedEntityParser, untypedEntityParser } from './entity-parser.ts';
import { TypedParsers } from './parse-typed.ts';
import { parseUid } from './parse-uid.ts';
import { parseUntyped } from './parse-untyped.ts';
import { refusePollution } from './pollution.ts';
import { Refusal } from './refusal.ts';
import {
  type RequestParser,
  type RequestParserOptions,
  typedRequestParser,
  untypedRequestParser,
} from './request-parser.ts';
import { resetValueBudget } from './value-budget.ts';

/**
 * Reads data in Cedar's JSON form. With a schema as the schema says: escapes may be left out, and what does not
 * conform is refused; without one, entities and extension values are told by `__entity` and `__extn`.
 */
export interface JsonParser {
  /** @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` */
  parseRequest(request: CedarRequest, options?: RequestParserOptions): Request;
  /** @throws {CedarDataError} `ERR_CEDAR_ENTITY_INVALID` */
  parseEntity(entity: CedarEntity): Entity;
  /**
   * The name of an entity of any type, declared or not.
   *
   * @throws {CedarDataError} `ERR_CEDAR_ENTITY_INVALID`
   */
  parseUid(uid: CedarUid): EntityUid;
  /** @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID` */
  parseValue(value: CedarJson, type?: SchemaType): Value;
}

const NO_SCHEMA: Schema = { entityTypes: new Map(), actions: new Map() };

/** Makes a parser that keeps what it compiled of the schema: make one and use it for all calls. */
export function createJsonParser(schema: Schema | undefined): JsonParser {
  const types = new TypedParsers(schema ?? NO_SCHEMA, { conforms: true });
  const entities: EntityParser = schema ? typedEntityParser(schema, types) : untypedEntityParser;
  const requests: RequestParser = schema ? typedRequestParser(schema, types) : untypedRequestParser;
  return {
    parseRequest(request, options) {
      try {
        begin();
        return requests(request, options);
      } catch (error) {
        throw dataError(error, 'ERR_CEDAR_REQUEST_INVALID', 'the request');
      }
    },
    parseEntity(entity) {
      try {
        begin();
        return entities(entity);
      } catch (error) {
        throw dataError(error, 'ERR_CEDAR_ENTITY_INVALID', nameOf(entity));
      }
    },
    parseUid(uid) {
      try {
        begin();
        return parseUid(uid);
      } catch (error) {
        throw dataError(error, 'ERR_CEDAR_ENTITY_INVALID', 'the name of an entity');
      }
    },
    parseValue(value, type) {
      try {
        begin();
        return type ? types.of(type)(value) : parseUntyped(value);
      } catch (error) {
        throw dataError(error, 'ERR_CEDAR_REQUEST_INVALID', 'the value');
      }
    },
  };
}

function begin(): void {
  refusePollution();
  resetValueBudget();
}

/** Anything but a refusal is a fault of ours and goes out as it is. */
function dataError(error: unknown, code: CedarDataErrorCode, what: string): unknown {
  if (!(error instanceof Refusal)) return error;
  return new CedarDataError(code, `cannot read ${what}: ${error.message}`, error.path);
}

function nameOf(entity: { readonly uid: unknown } | null | undefined): string {
  try {
    return `entity ${parseUid(entity?.uid)}`;
  } catch {
    return 'an entity';
  }
}
