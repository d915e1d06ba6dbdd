/** A JSON value in Cedar's own JSON form (`{"__entity":{type,id}}`, `{"__extn":{fn,arg}}`). */
export type CedarJson =
  | string
  | number
  | boolean
  | readonly CedarJson[]
  | { readonly [key: string]: CedarJson };

/** The name of an entity; `type` may be namespaced. */
export interface CedarUid {
  readonly type: string;
  readonly id: string;
}

/** An entity as policies see it. */
export interface CedarEntity {
  readonly uid: CedarUid;
  readonly attrs: { readonly [name: string]: CedarJson };
  readonly parents: readonly CedarUid[];
}

/** Where the engine looks entities up while it decides; synchronous, in memory. */
export interface EntitySource {
  get(uid: CedarUid): CedarEntity | undefined;
}

/** One question. */
export interface CedarRequest {
  readonly principal: CedarUid;
  readonly action: CedarUid;
  readonly resource: CedarUid;
  readonly context: { readonly [name: string]: CedarJson };
}

/** One answer. `reasons` are the determining policies: satisfied forbids, else satisfied permits. */
export interface CedarAnswer {
  readonly decision: 'allow' | 'deny';
  readonly reasons: readonly string[];
  /** Policies that failed to evaluate. */
  readonly errors: readonly { readonly policy: string; readonly message: string }[];
  /**
   * The ids among `errors` whose effect is forbid. Cedar skips them, which fails open; strictness
   * is the caller's to apply.
   */
  readonly erroredForbids: readonly string[];
}

/** One policy as its author wrote it; `id` must be unique. */
export interface PolicySource {
  readonly id: string;
  /** Exactly one policy, without template slots. */
  readonly text: string;
}

/** Something wrong with a policy or a schema, where in the text (UTF-16 offsets). */
export interface CedarProblem {
  readonly policy?: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly help?: string;
  readonly start?: number;
  readonly end?: number;
}

/** A loaded policy set: loading was asynchronous, deciding is synchronous. */
export interface PolicySet {
  readonly ids: readonly string[];
  /**
   * Decides. The request is validated against the schema: what does not conform is answered with
   * `deny` and an error whose policy is the empty string.
   */
  decide(request: CedarRequest, entities: EntitySource): CedarAnswer;
  /** Releases what the set holds outside the garbage collector's reach. */
  dispose(): void;
}

/** Loads policies: parsing and validating happen in a worker that may die of a hostile text. */
export interface CedarEngine {
  /** Splits a `.cedar` file into policies, taking ids from `@id`; keeps offsets for messages. */
  split(text: string): Promise<{
    policies: readonly (PolicySource & { start: number; end: number })[];
    problems: readonly CedarProblem[];
  }>;
  /** All that is wrong, nothing thrown for a policy's fault. */
  validate(policies: readonly PolicySource[], schema: string): Promise<readonly CedarProblem[]>;
  /** @throws {CedarError} `ERR_CEDAR_POLICY_INVALID`, `ERR_CEDAR_SCHEMA_INVALID`, `ERR_CEDAR_TOO_DEEP` */
  load(policies: readonly PolicySource[], schema: string): Promise<PolicySet>;
  close(): Promise<void>;
}
