import type { Expression, Variable } from '../ast/expression.ts';
import type { EntityView } from '../entity/entity-view.ts';
import type { Schema } from '../schema/schema.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Known, Partial } from './partial.ts';
import type { Shape } from './shape.ts';

/** What a policy is evaluated against: a request of which some may be unknown, and the entities. */
export interface Environment {
  readonly variables: { readonly [name in Variable]: Known | UnknownVariable };
  readonly entities: EntityView;
  /** Requests and entities conform to it, those of every completion included. */
  readonly schema: Schema | undefined;
  /**
   * Whether entities of a type that are not there may be there in a completion: an unknown principal or
   * resource may come with attributes, tags and parents of its own.
   */
  mayAppear(entityType: string): boolean;
  /** Called for each expression when it was evaluated, operands first. */
  readonly observe?: (expression: Expression, partial: Partial) => void;
}

export interface UnknownVariable {
  readonly kind: 'unknown';
  readonly shape: Shape;
}

/** Evaluates another expression in the same environment, when it is its turn. */
export type Recur = (expression: Expression) => Partial;

/** Whether what policies see of an entity is known: it is there, or is there in no completion either. */
export function isSettled(uid: EntityUid, environment: Environment): boolean {
  return !environment.mayAppear(uid.type) || environment.entities.find(uid) !== undefined;
}
