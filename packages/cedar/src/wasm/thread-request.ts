import type { TemplateLink } from '../ast/policy.ts';
import type { CedarProblem, PolicySource } from '../engine.ts';

/** What a parse thread is asked; it keeps nothing from one request to the next. */
export type ThreadRequest =
  | { readonly kind: 'schema'; readonly schema: string }
  | { readonly kind: 'parse'; readonly sources: readonly ThreadSource[] }
  | ({ readonly kind: 'validate'; readonly schema: string } & ValidationGroup);

/** A policy or a template. */
export interface ThreadSource extends PolicySource {
  readonly isTemplate: boolean;
}

/** What is validated in one go; templates are there for themselves, or only because a link names them. */
export interface ValidationGroup {
  readonly sources: readonly ThreadSource[];
  readonly links: readonly TemplateLink[];
}

/** What a parse thread says; after `died` it is not to be used again. */
export type ThreadReply =
  | { readonly kind: 'ready' }
  /** `resolved` is there when no problem is an error: the schema's JSON with the names of all types in full. */
  | {
      readonly kind: 'schema';
      readonly problems: readonly CedarProblem[];
      readonly resolved?: unknown;
    }
  /** What is wrong with each source, in the order asked: nothing when Cedar's parser and ours agree on it. */
  | { readonly kind: 'parsed'; readonly problems: readonly (readonly CedarProblem[])[] }
  | { readonly kind: 'validated'; readonly problems: readonly CedarProblem[] }
  | { readonly kind: 'died'; readonly message: string };
