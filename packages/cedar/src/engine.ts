import type { CedarErrorCode } from './cedar-error.ts';

/** A JSON value in Cedar's own JSON form (`{"__entity":{type,id}}`, `{"__extn":{fn,arg}}`). */
export type CedarJson =
  | string
  | number
  | bigint
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
  readonly tags?: { readonly [name: string]: CedarJson };
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
  /** Which code `load` throws for it, when it is an error: tells a policy's fault from a schema's. */
  readonly code: CedarErrorCode;
  readonly policy?: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly help?: string;
  readonly start?: number;
  readonly end?: number;
}

/** What a loaded policy says of itself. */
export interface PolicyFacts {
  readonly effect: 'permit' | 'forbid';
  /** By name, unescaped; an annotation without a value has the empty string. */
  readonly annotations: ReadonlyMap<string, string>;
}

/** A loaded policy set: loading was asynchronous, deciding is synchronous. */
export interface PolicySet {
  /** Sorted. */
  readonly ids: readonly string[];
  policy(id: string): PolicyFacts | undefined;
  /**
   * Decides. The request is validated against the schema: what does not conform is answered with
   * `deny` and an error whose policy is the empty string. So is a number that is no safe integer,
   * text that is not well-formed Unicode, values nested deeper than 64, more than 1,000 entities or
   * 100,000 values in reach of the request, and a set that was disposed. Never throws.
   */
  decide(request: CedarRequest, entities: EntitySource): CedarAnswer;
  /** Releases what the set holds outside the garbage collector's reach. */
  dispose(): void;
}

/** Loads policies: parsing and validating happen in a worker that may die of a hostile text. */
export interface CedarEngine {
  /**
   * Splits a `.cedar` file into policies, taking ids from `@id`; keeps offsets for messages. Looks at
   * words and brackets only: what stands between them is for `validate`. A policy with a problem is
   * not among `policies`; comments between policies belong to none.
   */
  split(text: string): Promise<{
    policies: readonly (PolicySource & { start: number; end: number })[];
    problems: readonly CedarProblem[];
  }>;
  /**
   * All that is wrong, nothing thrown for a policy's fault. Offsets count from the start of the
   * policy's own text, or of the schema.
   *
   * @throws {CedarError} `ERR_CEDAR_OVERLOADED`, `ERR_CEDAR_CLOSED`, `ERR_CEDAR_WORKER_FAILED`
   */
  validate(policies: readonly PolicySource[], schema: string): Promise<readonly CedarProblem[]>;
  /**
   * Loads policies that {@link validate} finds no error in.
   *
   * @throws {CedarError} `ERR_CEDAR_POLICY_INVALID`, `ERR_CEDAR_SCHEMA_INVALID`, `ERR_CEDAR_TOO_DEEP`
   *   with all problems; `ERR_CEDAR_OVERLOADED` beyond 64 sets alive; `ERR_CEDAR_CLOSED`
   */
  load(policies: readonly PolicySource[], schema: string): Promise<PolicySet>;
  /** Ends the worker and disposes every set. */
  close(): Promise<void>;
}
