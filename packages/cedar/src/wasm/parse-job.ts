import type { CedarProblem, CedarUid, PolicySource } from '../engine.ts';

/** What the parse worker is asked. */
export interface ParseJob {
  readonly policies: readonly PolicySource[];
  readonly schema: string;
  /** Validate policies one by one: slow, but it shows at which one the worker dies. */
  readonly oneByOne: boolean;
  /** One Int32: the {@link ParseStep} that the worker is at, so that its death has a cause. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

/**
 * Where a worker is: `SCHEMA_STEP`, `VALIDATION_STEP` (all together), or the index of the policy that
 * it parses. Policies validated one by one count on from the last parsed.
 */
export type ParseStep = number;
export const SCHEMA_STEP = -1;
export const VALIDATION_STEP = -2;

/** What the worker found out about one policy that parses. */
export interface ParsedPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly annotations: readonly (readonly [name: string, value: string])[];
  readonly entityLiterals: readonly CedarUid[];
  /** Whether it may look into entities that only other entities' attributes name. */
  readonly hasNestedLookUps: boolean;
}

/** What the worker says; after `died` it is not to be used again. */
export type ParseReply =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'parsed';
      readonly policies: readonly ParsedPolicy[];
      readonly problems: readonly CedarProblem[];
    }
  | { readonly kind: 'died'; readonly message: string };
