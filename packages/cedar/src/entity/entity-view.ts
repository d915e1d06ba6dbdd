import type { CedarRecord } from '../value/cedar-record.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Value } from '../value/value.ts';

/** What policies see of one entity. */
export interface Entity {
  readonly uid: EntityUid;
  readonly attributes: CedarRecord;
  readonly tags: ReadonlyMap<string, Value> | undefined;
  /** Direct parents; they need not exist as entities. */
  readonly parents: readonly EntityUid[];
}

/**
 * The entities that a decision can see. Synchronous and in memory. The store, a layer over it for one request,
 * and a caller's own source all look like this.
 */
export interface EntityView {
  /**
   * Another number after every change of who is in what, for views that stay from request to request and hand
   * out the same list of parents as long as it holds. Without it nothing is remembered of the view.
   */
  readonly hierarchyVersion?: number;
  find(uid: EntityUid): Entity | undefined;
  /** Whether `ancestor` is a proper ancestor of `uid`: `in` without its reflexive case. An unknown `uid` has none. */
  isDescendant(uid: EntityUid, ancestor: EntityUid): boolean;
  /** Calls `visit` with every proper ancestor, each once, until it returns true; what it returned last. */
  someAncestor(uid: EntityUid, visit: (ancestor: EntityUid) => boolean): boolean;
}
