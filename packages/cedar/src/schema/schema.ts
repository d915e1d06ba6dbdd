import type { EntityUid } from '../value/entity-uid.ts';

/** A type of the schema with every name resolved: no common types are left. */
export type SchemaType =
  | { readonly kind: 'boolean' | 'long' | 'string' }
  | { readonly kind: 'decimal' | 'datetime' | 'duration' | 'ipaddr' }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'set'; readonly element: SchemaType }
  | RecordType;

export interface RecordType {
  readonly kind: 'record';
  readonly attributes: ReadonlyMap<
    string,
    { readonly type: SchemaType; readonly required: boolean }
  >;
}

export interface EntityType {
  readonly name: string;
  /** Types whose entities may be its direct parents. */
  readonly memberOfTypes: ReadonlySet<string>;
  readonly shape: RecordType;
  readonly tags: SchemaType | undefined;
  /** The only ids there are, for `entity T enum [...]`. */
  readonly enumIds: ReadonlySet<string> | undefined;
}

export interface ActionType {
  readonly uid: EntityUid;
  /** Keys of `EntityUid`: all groups that the action is in, transitively, itself not counted. */
  readonly ancestors: ReadonlySet<string>;
  readonly principalTypes: ReadonlySet<string>;
  readonly resourceTypes: ReadonlySet<string>;
  readonly context: RecordType;
}

/** A resolved schema: what requests and entities must look like, and which actions there are. */
export interface Schema {
  readonly entityTypes: ReadonlyMap<string, EntityType>;
  /** By `EntityUid.key`. */
  readonly actions: ReadonlyMap<string, ActionType>;
}
