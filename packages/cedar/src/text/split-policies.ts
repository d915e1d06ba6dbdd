import type { CedarProblem, SplitPolicy } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import { checkPolicyId, checkTokens } from './check-text.ts';
import { lex, type Token } from './lex.ts';
import { unescapeString } from './unescape.ts';

/**
 * Cuts a `.cedar` file at the semicolons that no bracket holds. Cedar's own `policySetTextToParts`
 * forgets the order and the ids. What is left out between two policies is whitespace and comments
 * only, so a mistake here ends in a policy that does not parse and never in one that is missing.
 */
export function splitPolicies(
  text: string,
  { ids }: { readonly ids: 'annotation' | 'position' },
): {
  policies: readonly SplitPolicy[];
  problems: readonly CedarProblem[];
} {
  if (text.length > LIMITS.fileLength) {
    const message = `found a file of ${text.length} characters, expected at most ${LIMITS.fileLength}`;
    return { policies: [], problems: [{ code: 'ERR_CEDAR_TOO_DEEP', severity: 'error', message }] };
  }
  // Files written on Windows may start with a byte order mark, which Cedar itself refuses.
  const { tokens, fault } = lex(text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text);
  const policies: SplitPolicy[] = [];
  const problems: CedarProblem[] = [];
  const seen = new Set<string>();
  let position = 0;
  for (const { words, isEnded } of cut(tokens)) {
    const start = words[0]?.start ?? 0;
    const end = words.at(-1)?.end ?? start;
    const id = ids === 'annotation' ? readId(words) : `policy${position}`;
    position += 1;
    const found = [
      ...checkTokens(words),
      ...(isEnded
        ? []
        : [
            invalid(
              'found a policy without end, expected brackets closed and a semicolon',
              start,
              end,
            ),
          ]),
      ...(end - start > LIMITS.policyLength
        ? [
            {
              ...invalid(
                `found a policy of ${end - start} characters, expected at most ${LIMITS.policyLength}`,
                start,
                end,
              ),
              code: 'ERR_CEDAR_TOO_DEEP' as const,
            },
          ]
        : []),
    ];
    if (typeof id === 'string') {
      const taken = checkPolicyId(id, seen);
      if (taken) found.push(invalid(taken, start, end));
      seen.add(id);
    } else {
      found.push(id);
    }
    if (policies.length === LIMITS.policies) {
      problems.push(invalid(`found more than ${LIMITS.policies} policies in one file`, start, end));
      break;
    }
    problems.push(
      ...(typeof id === 'string' ? found.map((each) => ({ ...each, policy: id })) : found),
    );
    if (found.length === 0 && typeof id === 'string') {
      const isTemplate = words.some(({ kind }) => kind === 'slot');
      policies.push({ id, text: text.slice(start, end), start, end, isTemplate });
    }
  }
  if (fault) problems.push(invalid(fault.message, fault.start, fault.end));
  return { policies, problems };
}

/** The words of each policy, its semicolon included; the last may have no end. */
function* cut(tokens: readonly Token[]): Generator<{
  readonly words: readonly Token[];
  readonly isEnded: boolean;
}> {
  let first = 0;
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'punctuation') continue;
    if ('([{'.includes(token.text)) depth += 1;
    else if (')]}'.includes(token.text)) depth -= 1;
    // A bracket too many must not swallow the rest of the file: below zero counts as zero.
    else if (token.text === ';' && depth <= 0) {
      yield { words: tokens.slice(first, index + 1), isEnded: true };
      first = index + 1;
      depth = 0;
    }
  }
  if (first < tokens.length) yield { words: tokens.slice(first), isEnded: false };
}

/** The value of `@id("…")` among the annotations, or what is wrong. */
function readId(words: readonly Token[]): string | CedarProblem {
  let id: string | undefined;
  let index = 0;
  while (words[index]?.text === '@' && words[index]?.kind === 'punctuation') {
    const name = words[index + 1];
    const hasValue = words[index + 2]?.text === '(' && words[index + 2]?.kind === 'punctuation';
    if (name?.text === 'id') {
      const literal = hasValue ? words[index + 3] : undefined;
      const value = literal?.kind === 'string' ? unescapeString(literal.text) : undefined;
      if (value === undefined) {
        return invalid(
          'found an @id without a string, expected @id("<name>")',
          name.start,
          name.end,
        );
      }
      if (id !== undefined) {
        return invalid('found @id twice, expected one per policy', name.start, name.end);
      }
      id = value;
    }
    index += hasValue ? 5 : 2;
  }
  if (id !== undefined) return id;
  const at = words[index] ?? words[0];
  return invalid(
    'found a policy without @id, expected @id("<name>") before it',
    at?.start ?? 0,
    at?.end ?? 0,
  );
}

function invalid(message: string, start: number, end: number): CedarProblem {
  return { code: 'ERR_CEDAR_POLICY_INVALID', severity: 'error', message, start, end };
}
