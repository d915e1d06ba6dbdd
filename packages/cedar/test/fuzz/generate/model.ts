/** A type of a generated world; a world without a schema has a model all the same. */
export type ModelType =
  | { readonly kind: 'boolean' | 'long' | 'string' }
  | { readonly kind: 'decimal' | 'datetime' | 'duration' | 'ipaddr' }
  | { readonly kind: 'entity'; readonly name: string }
  | { readonly kind: 'set'; readonly element: ModelType }
  | ModelRecord;

export interface ModelRecord {
  readonly kind: 'record';
  readonly fields: readonly ModelField[];
}

export interface ModelField {
  readonly name: string;
  readonly type: ModelType;
  readonly isRequired: boolean;
}

export interface ModelEntityType {
  readonly name: string;
  readonly memberOf: readonly string[];
  readonly shape: ModelRecord;
  readonly tags: ModelType | undefined;
  readonly enumIds: readonly string[] | undefined;
}

export interface Uid {
  readonly type: string;
  readonly id: string;
}

export interface ModelAction {
  readonly uid: Uid;
  readonly memberOf: readonly Uid[];
  readonly principals: readonly string[];
  readonly resources: readonly string[];
  readonly context: ModelRecord;
}

/** What there is in one world: the types, the actions, and few enough values that they often meet. */
export interface Model {
  readonly hasSchema: boolean;
  readonly entityTypes: readonly ModelEntityType[];
  readonly actions: readonly ModelAction[];
  readonly commonTypes: readonly { readonly name: string; readonly type: ModelType }[];
  readonly pools: Pools;
}

export interface Pools {
  readonly longs: readonly bigint[];
  readonly strings: readonly string[];
  readonly decimals: readonly string[];
  readonly datetimes: readonly string[];
  readonly durations: readonly string[];
  readonly addresses: readonly string[];
  readonly ids: readonly string[];
  readonly tags: readonly string[];
}

/** A text that two types share when they are the same type. */
export function typeKey(type: ModelType): string {
  switch (type.kind) {
    case 'entity':
      return `entity ${type.name}`;
    case 'set':
      return `set<${typeKey(type.element)}>`;
    case 'record':
      return `{${type.fields
        .map(
          (field) =>
            `${JSON.stringify(field.name)}${field.isRequired ? '' : '?'}:${typeKey(field.type)}`,
        )
        .join()}}`;
    default:
      return type.kind;
  }
}
