import type { CedarAnswer } from '@countersign/cedar';
import { CommandError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import {
  type FoundProblem,
  type PrintedProblem,
  problemJson,
  problemText,
} from './found-problem.ts';
import { type LoadedPolicies, placed } from './open-policies.ts';
import { placeOf } from './place.ts';

/** An answer as `--json` prints it: the engine's, with the places of errors in files. */
export interface PrintedAnswer extends Omit<CedarAnswer, 'errors'> {
  readonly errors: readonly Omit<PrintedProblem, 'severity' | 'code'>[];
}

export function answerJson(answer: CedarAnswer, loaded: LoadedPolicies): PrintedAnswer {
  const { decision, reasons, erroredForbids } = answer;
  const errors = errorsOf(answer, loaded).map((each) => {
    const { severity: _severity, code: _code, ...error } = problemJson(each);
    return error;
  });
  return { decision, reasons, errors, erroredForbids };
}

/** An answer for a reader: what was decided, by which policies, and which could not be evaluated. */
export function answerLines(
  answer: CedarAnswer,
  loaded: LoadedPolicies,
  { strict }: { readonly strict: boolean },
): readonly string[] {
  const { decision, reasons, erroredForbids } = answer;
  return [
    decision.toUpperCase(),
    '',
    because(answer, loaded, strict),
    ...reasons.map((id) => `  ${whereIs(id, loaded)}`),
    ...errorsOf(answer, loaded).flatMap((error) => ['', problemText(error)]),
    ...(erroredForbids.length > 0 ? ['', forbidNote(erroredForbids, strict)] : []),
  ];
}

/** A policy by its id and place: `own  (policies/own.cedar:3)`. */
export function whereIs(id: string, { sources }: LoadedPolicies): string {
  const origin = sources.origins.get(id);
  if (!origin) return printable(id);
  const { file, start, template } = origin;
  const line = start === undefined ? '' : `:${placeOf(file, start).line}`;
  const of = template === undefined ? '' : `, a link of ${printable(template)}`;
  return `${printable(id)}  (${printable(file.name)}${line}${of})`;
}

/** Where a span of a policy's own text is, in files. */
export function placeIn(
  policy: string,
  { start, end }: { readonly start: number; readonly end: number },
  loaded: LoadedPolicies,
): Pick<PrintedProblem, 'file' | 'line' | 'column'> {
  const [found] = placed(
    [{ code: 'ERR_CEDAR_POLICY_INVALID', severity: 'error', policy, message: '', start, end }],
    loaded,
  );
  const { file, line, column } = found ? problemJson(found) : {};
  return {
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    ...(column !== undefined && { column }),
  };
}

/**
 * Only policies give an answer: what the engine could not decide at all, it denies with an error of no policy.
 *
 * @throws {CommandError} for such an answer
 */
export function requireAnswer(answer: CedarAnswer): void {
  const refusal = answer.errors.find(({ policy }) => policy === '');
  if (refusal) throw new CommandError(`cannot decide: ${refusal.message}`);
}

function because(
  { decision, reasons, erroredForbids }: CedarAnswer,
  { set }: LoadedPolicies,
  strict: boolean,
): string {
  if (decision === 'allow') return 'Permitted by:';
  if (reasons.length > 0) return 'Forbidden by:';
  if (strict && erroredForbids.length > 0) return 'A forbid could not be evaluated, which denies.';
  const count = set.ids.length;
  if (count === 0) return 'There is no policy that could permit it.';
  return count === 1
    ? 'The only policy does not permit it.'
    : `None of the ${count} policies permits it.`;
}

function forbidNote(ids: readonly string[], strict: boolean): string {
  const which = ids.map((id) => `'${printable(id)}'`).join(', ');
  return strict
    ? `note: with --strict a forbid that fails to evaluate denies: ${which}`
    : `note: Cedar skips a forbid that fails to evaluate, which fails open: ${which}; --strict denies`;
}

function errorsOf({ errors }: CedarAnswer, loaded: LoadedPolicies): readonly FoundProblem[] {
  return placed(
    errors.map(({ policy, message, span }) => ({
      code: 'ERR_CEDAR_POLICY_INVALID' as const,
      severity: 'error' as const,
      policy,
      message,
      ...span,
    })),
    loaded,
  );
}
