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
      ...missingSemicolon(words),
      // Where the lexer stopped there is no end to be found.
      ...(isEnded || fault ? [] : [withoutEnd(words)]),
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
    if (found.length === 0 && isEnded && typeof id === 'string') {
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

/**
 * A policy that begins before the one before it has ended: after a scope only `when` and `unless` stand outside of
 * brackets. Cedar itself trips over a word or two later.
 */
function missingSemicolon(words: readonly Token[]): readonly CedarProblem[] {
  let depth = 0;
  let hasEffect = false;
  for (const [index, token] of words.entries()) {
    const isBracket = token.kind === 'punctuation';
    if (isBracket && isOpening(token)) depth += 1;
    else if (isBracket && isClosing(token)) depth = Math.max(0, depth - 1);
    if (depth > 0) continue;
    const isAnnotation = isBracket && token.text === '@';
    const isName = words[index - 1]?.text === '@';
    const isEffect =
      token.kind === 'identifier' && !isName && /^(?:permit|forbid)$/.test(token.text);
    if (hasEffect && (isAnnotation || isEffect)) {
      const message = 'found the next policy, expected a semicolon before it';
      return [invalid(message, token.start, token.end)];
    }
    hasEffect ||= isEffect;
  }
  return [];
}

const CLOSING: { readonly [opening: string]: string } = { '(': ')', '[': ']', '{': '}' };

function isOpening({ text }: Token): boolean {
  return Object.hasOwn(CLOSING, text);
}

function isClosing({ text }: Token): boolean {
  return text === ')' || text === ']' || text === '}';
}

/** What a policy lacks that goes on to the end of the file: the bracket that is left open, or a semicolon. */
function withoutEnd(words: readonly Token[]): CedarProblem {
  const open: Token[] = [];
  for (const token of words) {
    if (token.kind !== 'punctuation') continue;
    if (isOpening(token)) open.push(token);
    else if (isClosing(token)) {
      // Another bracket's end: this one was never closed.
      if (CLOSING[open.at(-1)?.text ?? ''] !== token.text && open.length > 0) break;
      open.pop();
    }
  }
  const bracket = open.at(-1);
  if (bracket) {
    const message = `found a policy without end, expected a '${CLOSING[bracket.text]}' for this '${bracket.text}'`;
    return invalid(message, bracket.start, bracket.end);
  }
  const last = words.at(-1);
  const message = 'found a policy without end, expected a semicolon after this';
  return invalid(message, last?.start ?? 0, last?.end ?? 0);
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
