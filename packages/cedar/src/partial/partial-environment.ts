import type { Request } from '../authorize/request.ts';
import type { EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import { CedarRecord } from '../value/cedar-record.ts';
import { EntityUid } from '../value/entity-uid.ts';
import type { Environment, UnknownVariable } from './environment.ts';
import { type Known, known } from './partial.ts';
import type { OpenRecord, Shape } from './shape.ts';

/** An entity of a request, or what is known of its type. */
export type PartialUid = EntityUid | { readonly type: string | undefined };

/** A partial request whose JSON was parsed. */
export interface ParsedPartialRequest {
  readonly principal: PartialUid;
  readonly action: PartialUid;
  readonly resource: PartialUid;
  readonly context: CedarRecord | OpenRecord;
}

/** @param entities as policies view them: with the schema's actions */
export function partialEnvironment(
  { principal, action, resource, context }: ParsedPartialRequest,
  { entities, schema }: { readonly entities: EntityView; readonly schema: Schema | undefined },
): Environment {
  const unknowns = [principal, action, resource].filter((uid) => !(uid instanceof EntityUid));
  return {
    variables: {
      principal: variableOf(principal),
      action: variableOf(action),
      resource: variableOf(resource),
      context:
        context instanceof CedarRecord ? known(context) : { kind: 'unknown', shape: context },
    },
    entities,
    schema,
    mayAppear: (entityType) =>
      unknowns.some(({ type }) => type === undefined || type === entityType),
  };
}

/** An environment in which nothing is unknown. */
export function completeEnvironment(
  request: Request,
  place: { readonly entities: EntityView; readonly schema: Schema | undefined },
): Environment {
  return partialEnvironment(request, place);
}

function variableOf(uid: PartialUid): Known | UnknownVariable {
  if (uid instanceof EntityUid) return known(uid);
  const shape: Shape =
    uid.type === undefined ? { kind: 'anyEntity' } : { kind: 'entity', name: uid.type };
  return { kind: 'unknown', shape };
}
