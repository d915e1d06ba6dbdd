import type { Span } from '../ast/expression.ts';
import type { CedarAnswer } from '../authorize/answer.ts';
import type { ClausePart } from './clauses-of.ts';
import type { RaiseFinding } from './raise-finding.ts';
import type { SeenValue } from './seen-value.ts';

/** An answer, and how it came about. Plain JSON data. */
export interface Explanation extends CedarAnswer {
  /** Every policy that could have applied to the action and the two types, sorted by id. */
  readonly policies: readonly PolicyExplanation[];
  /** The others, when they were asked for. */
  readonly ruledOut?: readonly RuledOutPolicy[];
  /** For a denial, when attributes that can be raised were given: what would have turned it. */
  readonly raise?: RaiseFinding;
}

export interface PolicyExplanation {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly outcome: 'satisfied' | 'falsified' | 'errored';
  /** In the order in which they are looked at. After the first that fails or errors none is reached. */
  readonly clauses: readonly ClauseExplanation[];
}

export interface ClauseExplanation {
  readonly part: ClausePart;
  /** `held`: what the policy asks for here was so; of an `unless`, that its condition was false. */
  readonly status: 'held' | 'failed' | 'errored' | 'notReached';
  /** As its author wrote it; of a link, in the template's words. */
  readonly text: string;
  readonly span: Span;
  /** What was looked at on the way, in the order of the text, each once. */
  readonly reads: readonly Read[];
  /** Why it errored. */
  readonly message?: string;
  /** For a link: what stands for the slot. */
  readonly slot?: { readonly type: string; readonly id: string };
}

/** A part of a clause that read the request or an entity. */
export type Read =
  | {
      readonly kind: 'value';
      readonly text: string;
      readonly span: Span;
      readonly value: SeenValue;
    }
  /** An attribute, a tag or an entity that is not there. */
  | { readonly kind: 'missing'; readonly text: string; readonly span: Span };

/** A policy that is for other actions or types. */
export interface RuledOutPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** The first part of its scope that cannot fit. */
  readonly part: 'principal' | 'action' | 'resource';
  readonly text: string;
  readonly span: Span;
}
