import type {
  ClauseExplanation,
  Explanation,
  PolicyExplanation,
  RaiseFinding,
} from '@countersign/cedar';
import { printable } from '../record/printable.ts';
import { answerJson, answerLines, placeIn, whereIs } from './answer-text.ts';
import type { LoadedPolicies } from './open-policies.ts';
import { seenText } from './seen-text.ts';

/** An explanation for a reader: the answer, then each policy with its clauses, then what would have turned it. */
export function explanationLines(
  explanation: Explanation,
  loaded: LoadedPolicies,
  options: { readonly strict: boolean },
): readonly string[] {
  const { policies, raise } = explanation;
  const others = loaded.set.ids.length - policies.length;
  return [
    ...answerLines(explanation, loaded, options),
    ...policies.flatMap((policy) => ['', ...policyLines(policy, loaded)]),
    ...(others > 0 ? ['', `${others} more for other actions or types.`] : []),
    ...(raise ? ['', ...raiseLines(raise)] : []),
  ];
}

function policyLines(
  { id, effect, outcome, clauses }: PolicyExplanation,
  loaded: LoadedPolicies,
): readonly string[] {
  return [
    `${outcome.padEnd(9)}  ${effect} ${whereIs(id, loaded)}`,
    ...clauses.filter(asksSomething).flatMap(clauseLines),
  ];
}

/** A scope's `principal` alone holds of everybody. */
function asksSomething({ part, text }: ClauseExplanation): boolean {
  return text !== part;
}

function clauseLines(clause: ClauseExplanation): readonly string[] {
  const { status, message, reads } = clause;
  const width = Math.min(
    READ_WIDTH_MAX,
    Math.max(0, ...reads.map(({ text }) => oneLine(text).length)),
  );
  return [
    `  ${STATUS_WORDS[status].padEnd(INDENT.length - 2)}${clauseWords(clause)}`,
    ...(message === undefined ? [] : [`${INDENT}  ${printable(message)}`]),
    ...reads.map((read) => {
      const value = read.kind === 'missing' ? '(not there)' : seenText(read.value);
      return `${INDENT}  ${oneLine(read.text).padEnd(width)}  ${value}`;
    }),
  ];
}

function clauseWords({ part, text, slot }: ClauseExplanation): string {
  const words = oneLine(text);
  if (part === 'when' || part === 'unless') return `${part} { ${words} }`;
  return slot ? `${words}, which is ${seenText({ __entity: { ...slot } })}` : words;
}

const STATUS_WORDS: Readonly<Record<ClauseExplanation['status'], string>> = {
  held: 'held',
  failed: 'FAILED',
  errored: 'ERRORED',
  notReached: 'not reached',
};
const INDENT = ' '.repeat('  not reached  '.length);

/** Letters of a clause that are shown, and columns that names of what was read may take. */
const TEXT_LENGTH_MAX = 400;
const READ_WIDTH_MAX = 40;

function oneLine(text: string): string {
  const line = printable(text.replaceAll(/\s+/g, ' '));
  return line.length > TEXT_LENGTH_MAX ? `${line.slice(0, TEXT_LENGTH_MAX).toWellFormed()}…` : line;
}

function raiseLines(raise: RaiseFinding): readonly string[] {
  switch (raise.kind) {
    case 'found':
      return [
        'It would have been allowed with:',
        ...raise.changes.map(
          ({ attribute, to }) =>
            `  context.${printable(attribute.join('.'))} = ${seenText(to as never)}`,
        ),
      ];
    case 'impossible':
      return ['Whatever values these attributes had, it would have been denied.'];
    case 'notFound':
      return [`${noneOf(raise.tried)} would have had it allowed; others may.`];
    case 'gaveUp':
      return [
        `${noneOf(raise.tried)} would have had it allowed; the rest was not tried (too many ${raise.bound}).`,
      ];
  }
}

function noneOf(tried: number): string {
  return tried === 1 ? 'Not the one combination tried' : `None of the ${tried} combinations tried`;
}

/** An explanation as `--json` prints it: the engine's, with places in files. */
export function explanationJson(explanation: Explanation, loaded: LoadedPolicies): object {
  const { policies } = explanation;
  return {
    ...explanation,
    ...answerJson(explanation, loaded),
    policies: policies.map((policy) => ({
      ...policy,
      clauses: policy.clauses.map((clause) => ({
        ...clause,
        ...placeIn(policy.id, clause.span, loaded),
      })),
    })),
  };
}
