import type { Entity, EntityView } from '../entity/entity-view.ts';
import type { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';

/** An expression ready to run. Throws an `EvaluationError` where Cedar's evaluation is one. */
export type Evaluate = (frame: Frame) => Value;

/** An expression where a boolean is needed; anything else that it gives is a type error. */
export type Test = (frame: Frame) => boolean;

/** What compiled policies run against: one request and the entities it can see. Lives for one decision. */
export class Frame {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarRecord;
  readonly view: EntityView;
  // `null` until it was looked for: most policies ask the same two entities over and over.
  private foundPrincipal: Entity | undefined | null = null;
  private foundResource: Entity | undefined | null = null;

  constructor(
    request: {
      readonly principal: EntityUid;
      readonly action: EntityUid;
      readonly resource: EntityUid;
      readonly context: CedarRecord;
    },
    view: EntityView,
  ) {
    this.principal = request.principal;
    this.action = request.action;
    this.resource = request.resource;
    this.context = request.context;
    this.view = view;
  }

  get principalEntity(): Entity | undefined {
    if (this.foundPrincipal === null) this.foundPrincipal = this.view.find(this.principal);
    return this.foundPrincipal;
  }

  get resourceEntity(): Entity | undefined {
    if (this.foundResource === null) this.foundResource = this.view.find(this.resource);
    return this.foundResource;
  }
}
