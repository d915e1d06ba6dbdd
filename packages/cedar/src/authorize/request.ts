import type { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';

/** A request whose JSON was parsed and, with a schema, checked. */
export interface Request {
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: CedarRecord;
}
