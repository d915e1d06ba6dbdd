import type { TemplateLink } from './ast/policy.ts';
import type { PolicySet } from './authorize/policy-set.ts';
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

/** One policy as its author wrote it; `id` must be unique. */
export interface PolicySource {
  readonly id: string;
  /** Exactly one policy, or one template where templates are asked for. */
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

/** A policy cut out of a file. */
export interface SplitPolicy extends PolicySource {
  /** Where it starts in the file, its annotations included. */
  readonly start: number;
  readonly end: number;
  /** Whether there is a template's slot in it. */
  readonly isTemplate: boolean;
}

/** What goes with static policies and the schema. */
export interface LoadOptions {
  /** Their ids live in one space with those of policies and links. */
  readonly templates?: readonly PolicySource[];
  readonly links?: readonly TemplateLink[];
  /** Whether policies must fit the schema; `strict` unless said otherwise. Without a schema nothing is checked. */
  readonly validation?: 'strict' | 'off';
  /**
   * Whether policies are found through an index, which is so unless said otherwise. Without it the scope of every
   * policy is looked at, with the same answer: for tests of the index.
   */
  readonly isIndexed?: boolean;
}

/** A schema in Cedar syntax, or in JSON as text or as an object; without one nothing is checked against it. */
export type SchemaSource = string | object | undefined;

/** Loads policies: parsing and validating happen in a thread that may die of a hostile text. */
export interface CedarEngine {
  /**
   * Splits a `.cedar` file into policies and templates; keeps offsets for messages. Looks at words and brackets
   * only: what stands between them is for `validate`. A policy with a problem is not among `policies`; comments
   * between policies belong to none.
   *
   * @param options.ids where ids come from: `annotation` (the default) takes the value of `@id` and wants one,
   *   `position` calls them `policy0`, `policy1` … in the order of the file, as Cedar's own tools do
   */
  split(
    text: string,
    options?: { readonly ids?: 'annotation' | 'position' },
  ): Promise<{
    policies: readonly SplitPolicy[];
    problems: readonly CedarProblem[];
  }>;
  /**
   * All that is wrong, nothing thrown for a policy's fault. Offsets count from the start of the
   * policy's own text (a link's: its template's), or of the schema.
   *
   * @throws {CedarError} `ERR_CEDAR_OVERLOADED`, `ERR_CEDAR_CLOSED`, `ERR_CEDAR_WORKER_FAILED`
   */
  validate(
    policies: readonly PolicySource[],
    schema: SchemaSource,
    options?: LoadOptions,
  ): Promise<readonly CedarProblem[]>;
  /**
   * Loads policies that {@link validate} finds no error in.
   *
   * @throws {CedarError} `ERR_CEDAR_POLICY_INVALID`, `ERR_CEDAR_SCHEMA_INVALID`, `ERR_CEDAR_TOO_DEEP`
   *   with all problems; `ERR_CEDAR_OVERLOADED`, `ERR_CEDAR_CLOSED`, `ERR_CEDAR_WORKER_FAILED`
   */
  load(
    policies: readonly PolicySource[],
    schema: SchemaSource,
    options?: LoadOptions,
  ): Promise<PolicySet>;
  /** Ends the thread. Sets that are loaded go on deciding: they need none. */
  close(): Promise<void>;
}
