import type { EntityUid } from '../value/entity-uid.ts';
import type { Long } from '../value/long.ts';
import type { Value } from '../value/value.ts';

/** A place in a policy's own text: UTF-16 offsets, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type Variable = 'principal' | 'action' | 'resource' | 'context';

/** `<` and its like are kept as they were written, so that explanations quote what the author wrote. */
export type BinaryOperator =
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '+'
  | '-'
  | '*'
  | 'in'
  | 'contains'
  | 'containsAll'
  | 'containsAny'
  | 'getTag'
  | 'hasTag';

/** One element of a `like` pattern: literal text, or `*`. Adjacent literals are joined. */
export type PatternElement = string | { readonly wildcard: true };

/** A Cedar expression as its author wrote it; parentheses leave no node. Read-only, a tree, at most `LIMITS.depth` deep. */
export type Expression =
  | { readonly kind: 'literal'; readonly span: Span; readonly value: boolean | string | Long }
  | { readonly kind: 'entity'; readonly span: Span; readonly uid: EntityUid }
  | { readonly kind: 'variable'; readonly span: Span; readonly name: Variable }
  | {
      readonly kind: 'not' | 'negate' | 'isEmpty';
      readonly span: Span;
      readonly operand: Expression;
    }
  | {
      readonly kind: 'and' | 'or';
      readonly span: Span;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'binary';
      readonly span: Span;
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'if';
      readonly span: Span;
      readonly condition: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    }
  | {
      readonly kind: 'attribute';
      readonly span: Span;
      readonly operand: Expression;
      readonly name: string;
    }
  | {
      readonly kind: 'has';
      readonly span: Span;
      readonly operand: Expression;
      /** One name, or several for `has a.b.c` (RFC 62). Never empty. */
      readonly path: readonly string[];
    }
  | {
      readonly kind: 'like';
      readonly span: Span;
      readonly operand: Expression;
      readonly pattern: readonly PatternElement[];
    }
  | {
      readonly kind: 'is';
      readonly span: Span;
      readonly operand: Expression;
      readonly entityType: string;
      /** The right side of `is T in …`. */
      readonly within?: Expression;
    }
  | { readonly kind: 'set'; readonly span: Span; readonly elements: readonly Expression[] }
  | {
      readonly kind: 'record';
      readonly span: Span;
      /** In the order written, each name once. */
      readonly fields: readonly (readonly [name: string, value: Expression])[];
    }
  | {
      /** An extension function or method; a method's receiver is the first argument. Any arity. */
      readonly kind: 'call';
      readonly span: Span;
      readonly function: string;
      readonly args: readonly Expression[];
    }
  /** In residuals only: what was known when the rest was not. No parser makes one. */
  | { readonly kind: 'value'; readonly span: Span; readonly value: Value }
  /** In residuals only: evaluating this is an error, whatever the unknowns turn out to be. */
  | { readonly kind: 'error'; readonly span: Span; readonly message: string };
