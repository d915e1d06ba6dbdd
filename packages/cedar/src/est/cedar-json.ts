/**
 * Cedar's JSON form of policies (the "EST"), as data. Integers are exact: those beyond 2^53 are bigints, which
 * `JSON.stringify` refuses.
 *
 * @see https://docs.cedarpolicy.com/policies/json-format.html
 */
export type PolicyJson = {
  readonly effect: 'permit' | 'forbid';
  readonly principal: ScopeJson;
  readonly action: ScopeJson;
  readonly resource: ScopeJson;
  readonly conditions: readonly {
    readonly kind: 'when' | 'unless';
    readonly body: ExpressionJson;
  }[];
  readonly annotations?: { readonly [name: string]: string };
};

export type ScopeJson =
  | { readonly op: 'All' }
  | ({ readonly op: '==' | 'in' } & TargetJson)
  | { readonly op: 'in'; readonly entities: readonly UidJson[] }
  | { readonly op: 'is'; readonly entity_type: string; readonly in?: TargetJson };

export type TargetJson =
  | { readonly entity: UidJson; readonly slot?: never }
  | { readonly entity?: never; readonly slot: string };

export interface UidJson {
  readonly type: string;
  readonly id: string;
}

/** One operator or function by its name, with its operands. */
export interface ExpressionJson {
  readonly [operator: string]: OperandsJson;
}

export type OperandsJson =
  | boolean
  | string
  | number
  | bigint
  | undefined
  | readonly OperandsJson[]
  | { readonly [name: string]: OperandsJson };
