import { EvaluationError } from '../ast/evaluation-error.ts';
import type { Span } from '../ast/expression.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import type { Long } from '../value/long.ts';
import {
  type ExtensionConstructor,
  extensionError,
  printConstructorError,
} from '../value/print-constructor-error.ts';
import { printUid } from '../value/print-value.ts';
import type { Value } from '../value/value.ts';
import { typeName } from './type-name.ts';

// Every way in which evaluation fails, in the official engine's words
// (cedar-policy-core 4.13, evaluator/err.rs), so that the two can be compared.

/** How an entity of no particular type is named where one is expected. */
export const ANY_ENTITY = '(entity of type `any_entity_type`)';

/** @param span of the operand that was ill-typed, not of the operation */
export function typeError(expected: string, actual: Value, span: Span): EvaluationError {
  return new EvaluationError(`type error: expected ${expected}, got ${typeName(actual)}`, span);
}

export function typeErrorOneOf(
  expected: readonly string[],
  actual: Value,
  span: Span,
): EvaluationError {
  const list = expected.join(', ');
  return new EvaluationError(
    `type error: expected one of [${list}], got ${typeName(actual)}`,
    span,
  );
}

export function binaryOverflow(
  verb: 'add' | 'subtract' | 'multiply',
  { left, right, span }: { left: Long; right: Long; span: Span },
): EvaluationError {
  return new EvaluationError(
    `integer overflow while attempting to ${verb} the values \`${left}\` and \`${right}\``,
    span,
  );
}

export function negateOverflow(operand: Long, span: Span): EvaluationError {
  return new EvaluationError(
    `integer overflow while attempting to negate the value \`${operand}\``,
    span,
  );
}

/** @param span of the expression that named the entity */
export function entityMissing(uid: EntityUid, span: Span): EvaluationError {
  return new EvaluationError(`entity \`${printUid(uid)}\` does not exist`, span);
}

export function attributeMissing(uid: EntityUid, name: string, span: Span): EvaluationError {
  return new EvaluationError(`\`${printUid(uid)}\` does not have the attribute \`${name}\``, span);
}

export function tagMissing(uid: EntityUid, name: string, span: Span): EvaluationError {
  return new EvaluationError(`\`${printUid(uid)}\` does not have the tag \`${name}\``, span);
}

export function fieldMissing(name: string, span: Span): EvaluationError {
  return new EvaluationError(`record does not have the attribute \`${name}\``, span);
}

export function wrongArity(
  name: string,
  { expected, actual, span }: { expected: number; actual: number; span: Span },
): EvaluationError {
  return new EvaluationError(
    `wrong number of arguments provided to extension function \`${name}\`: expected ${expected}, got ${actual}`,
    span,
  );
}

/** @param extension the function's or the extension's name, as the official engine gives it */
export function extensionFailure(extension: string, message: string, span: Span): EvaluationError {
  return new EvaluationError(extensionError(extension, message), span);
}

/** What is wrong with a text that a constructor refused. */
export function constructorFailure(
  name: ExtensionConstructor,
  text: string,
  span: Span,
): EvaluationError {
  return new EvaluationError(printConstructorError(name, text), span);
}
