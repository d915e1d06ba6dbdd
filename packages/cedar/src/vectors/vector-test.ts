import type { CedarJson, CedarUid } from '../engine.ts';

/**
 * One file of the official suite (cedar-policy/cedar-integration-tests), parsed. Paths are relative to the
 * suite's root.
 */
export interface VectorTest {
  /** A `.cedar` file; its policies are called `policy0`, `policy1`, … in the order in which they stand. */
  readonly policies: string;
  /** A file, or the schema itself in JSON. */
  readonly schema: string | object | undefined;
  /** A file, or the entities themselves. */
  readonly entities: string | readonly unknown[] | undefined;
  readonly shouldValidate: boolean | undefined;
  /** Links written into the test itself, or the path of a file of them. */
  readonly links: string | readonly VectorLink[] | undefined;
  readonly requests: readonly VectorRequest[];
}

export interface VectorRequest {
  readonly description: string;
  readonly principal: CedarUid;
  readonly action: CedarUid;
  readonly resource: CedarUid;
  readonly context: { readonly [name: string]: CedarJson };
  readonly validateRequest: boolean;
  /** What it leaves out is not compared. */
  readonly expected: ExpectedAnswer;
}

export interface ExpectedAnswer {
  readonly decision: 'allow' | 'deny';
  readonly reason?: readonly string[];
  readonly errors?: readonly string[];
}

/** Reasons and errors are the ids of policies, sorted. */
export interface VectorAnswer {
  readonly decision: 'allow' | 'deny';
  readonly reason: readonly string[];
  readonly errors: readonly string[];
}

/** One link of a template; `template` is its place in the file (`policy2`) or its `@id`. */
export interface VectorLink {
  readonly id: string;
  readonly template: string;
  readonly values: { readonly '?principal'?: CedarUid; readonly '?resource'?: CedarUid };
}
