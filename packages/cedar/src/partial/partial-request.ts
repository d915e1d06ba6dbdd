import type { CedarJson, CedarUid } from '../engine.ts';

/**
 * A question of which some is unknown. Plain JSON; what is unknown is told beside the data and never by a
 * value among it, so that no data can be mistaken for an unknown. Every complete request is one, too.
 */
export interface PartialRequest {
  readonly principal: CedarUid | UnknownEntity;
  readonly action: CedarUid | UnknownEntity;
  readonly resource: CedarUid | UnknownEntity;
  /** What is known of the context. */
  readonly context: { readonly [name: string]: CedarJson };
  /**
   * What else the context may hold: these attributes, or with `'rest'` anything that `context` does not name.
   * Nothing unless said otherwise.
   */
  readonly unknownContext?: 'rest' | readonly UnknownAttribute[];
}

/**
 * An entity of which at most the type is known: `{}` may be any, `{ type: 'Account' }` any account. It may
 * turn out to be missing from the entities, or to be there with attributes, tags and parents of its own.
 */
export interface UnknownEntity {
  readonly type?: string;
  readonly id?: undefined;
}

/** An attribute of the context of which the value is unknown. */
export interface UnknownAttribute {
  /** Names from the context inward: `['device', 'compliant']`. What the inner names are in are records that are there. */
  readonly path: readonly string[];
  /**
   * Whether the attribute is certainly there, with whatever value. Unless said otherwise it may be missing;
   * with a schema a required attribute never is.
   */
  readonly isPresent?: boolean;
}
