import type { EntityUid } from '../value/entity-uid.ts';
import type { Expression, Span } from './expression.ts';

export type SlotName = '?principal' | '?resource';

/** What a scope names: an entity, or in a template the slot that a link fills. */
export type ScopeTarget =
  | { readonly kind: 'entity'; readonly uid: EntityUid }
  | { readonly kind: 'slot'; readonly slot: SlotName };

/** `principal …` or `resource …` of a policy's scope. The span covers the whole constraint, the variable included. */
export type ScopeConstraint =
  | { readonly kind: 'any'; readonly span: Span }
  | { readonly kind: 'equals'; readonly span: Span; readonly target: ScopeTarget }
  | { readonly kind: 'in'; readonly span: Span; readonly target: ScopeTarget }
  | { readonly kind: 'is'; readonly span: Span; readonly entityType: string }
  | {
      readonly kind: 'isIn';
      readonly span: Span;
      readonly entityType: string;
      readonly target: ScopeTarget;
    };

/** `action …` of a policy's scope. */
export type ActionConstraint =
  | { readonly kind: 'any'; readonly span: Span }
  | { readonly kind: 'equals'; readonly span: Span; readonly uid: EntityUid }
  /** `action in A` has one uid and `isList` false, `action in [A, B]` any number and `isList` true. */
  | {
      readonly kind: 'in';
      readonly span: Span;
      readonly uids: readonly EntityUid[];
      readonly isList: boolean;
    };

/** A `when` or `unless`; the span covers the keyword and the braces. */
export interface Condition {
  readonly kind: 'when' | 'unless';
  readonly span: Span;
  readonly body: Expression;
}

/** One policy or template, parsed. Spans count in `text`. */
export interface PolicyAst {
  readonly id: string;
  readonly text: string;
  readonly effect: 'permit' | 'forbid';
  /** Unescaped; an annotation without a value has the empty string. */
  readonly annotations: readonly (readonly [name: string, value: string])[];
  readonly principal: ScopeConstraint;
  readonly action: ActionConstraint;
  readonly resource: ScopeConstraint;
  readonly conditions: readonly Condition[];
}

/** A template with its slots filled; `id` lives in the same space as policies' ids. */
export interface TemplateLink {
  readonly id: string;
  readonly template: string;
  readonly values: {
    readonly [slot in SlotName]?: { readonly type: string; readonly id: string };
  };
}
