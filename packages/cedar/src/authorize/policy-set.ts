import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { CedarEntity, CedarRequest } from '../engine.ts';
import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import type { CedarAnswer } from './answer.ts';
import type { Request } from './request.ts';

/** What a loaded policy says of itself. */
export interface PolicyFacts {
  readonly effect: 'permit' | 'forbid';
  /** By name, unescaped; an annotation without a value has the empty string. */
  readonly annotations: ReadonlyMap<string, string>;
}

export interface AuthorizeOptions {
  /**
   * Whether a forbid that fails to evaluate denies. Cedar skips it, and a permit beside it stands: that fails
   * open. Off unless said otherwise, as in the official engine; Countersign turns it on.
   */
  readonly strict?: boolean;
  /**
   * Whether a request that the schema does not admit is refused; on unless said otherwise. Without a schema
   * there is nothing to check.
   */
  readonly validateRequest?: boolean;
}

/** A loaded policy set: loading was asynchronous, deciding is synchronous and pure. */
export interface PolicySet {
  /** Sorted; links among them, templates not. */
  readonly ids: readonly string[];
  /** In the order in which they were given, links after static policies. */
  readonly policies: readonly LinkedPolicy[];
  readonly schema: Schema | undefined;
  policy(id: string): PolicyFacts | undefined;
  /**
   * Decides; never throws. What cannot be decided (a request that the schema does not admit, an entity that
   * is none, a number that is no i64) is answered with `deny` and an error whose policy is the empty string.
   *
   * @param request JSON, or what `parseRequest` made of it
   */
  authorize(
    request: CedarRequest | Request,
    entities: EntityView,
    options?: AuthorizeOptions,
  ): CedarAnswer;
  /**
   * Parses a request once, to decide about it several times.
   *
   * @throws {CedarDataError} `ERR_CEDAR_REQUEST_INVALID`
   */
  parseRequest(request: CedarRequest, options?: Pick<AuthorizeOptions, 'validateRequest'>): Request;
  /**
   * Parses an entity, with a schema as the schema says: for a store, a layer or `entitiesFrom`.
   *
   * @throws {CedarDataError} `ERR_CEDAR_ENTITY_INVALID`
   */
  parseEntity(entity: CedarEntity): Entity;
  /** The view that policies have of entities: with a schema, its actions lie over them. */
  view(entities: EntityView): EntityView;
}
