import type { PolicyAst } from './policy.ts';

/** A policy that can be decided upon: a static one, or a link, in which no slot is left. */
export interface LinkedPolicy extends PolicyAst {
  /** The template that this links; spans count in its text. */
  readonly template?: string;
}
