import type { Expression } from '../ast/expression.ts';
import type { Environment } from './environment.ts';
import { interpret } from './interpret.ts';
import { truth } from './logic.ts';
import type { Partial } from './partial.ts';

/** Evaluates what must be a boolean; of anything else that is known, a type error. */
export function interpretCondition(condition: Expression, environment: Environment): Partial {
  return truth(interpret(condition, environment), condition);
}
