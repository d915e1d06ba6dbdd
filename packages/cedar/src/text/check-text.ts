import type { CedarErrorCode } from '../cedar-error.ts';
import type { CedarProblem, PolicySource } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import { lex, type Token } from './lex.ts';

/**
 * What can be said of policies before a parser sees them: ids, sizes, nesting, template slots, and
 * integers that JavaScript would round.
 */
export function checkPolicyTexts(policies: readonly PolicySource[]): readonly CedarProblem[] {
  if (policies.length > LIMITS.policies) {
    return [
      problem(
        'ERR_CEDAR_TOO_DEEP',
        `found ${policies.length} policies, expected at most ${LIMITS.policies}`,
      ),
    ];
  }
  const seen = new Set<string>();
  const problems: CedarProblem[] = [];
  for (const policy of policies) {
    const before = problems.length;
    const invalidId = checkPolicyId(policy.id, seen);
    if (invalidId) problems.push(problem('ERR_CEDAR_POLICY_INVALID', invalidId));
    seen.add(policy.id);
    problems.push(...checkPolicyText(policy.text));
    for (let index = before; index < problems.length; index += 1) {
      problems[index] = { ...(problems[index] as CedarProblem), policy: policy.id };
    }
  }
  return problems;
}

/** Why an id cannot name a policy; `seen` holds those that are taken. */
export function checkPolicyId(id: string, seen: ReadonlySet<string>): string | undefined {
  if (id === '') return 'found an empty id, expected a name for the policy';
  if (id.length > LIMITS.policyIdLength) {
    return `found an id of ${id.length} characters, expected at most ${LIMITS.policyIdLength}`;
  }
  if (!id.isWellFormed()) return 'found an id with half a surrogate pair, expected Unicode text';
  if (seen.has(id)) return `found the id '${id}' twice, expected every id once`;
  return undefined;
}

function checkPolicyText(text: string): readonly CedarProblem[] {
  if (text.length > LIMITS.policyLength) {
    return [
      problem(
        'ERR_CEDAR_TOO_DEEP',
        `found a policy of ${text.length} characters, expected at most ${LIMITS.policyLength}`,
      ),
    ];
  }
  if (!text.isWellFormed()) {
    return [problem('ERR_CEDAR_POLICY_INVALID', 'found half a surrogate pair, expected Unicode')];
  }
  const { tokens, fault } = lex(text);
  const problems = checkTokens(tokens);
  if (fault) problems.push(problem('ERR_CEDAR_POLICY_INVALID', fault.message, fault));
  return problems;
}

const OPERATORS: ReadonlySet<string> = new Set(['&&', '||', '+', '-', '*', 'if']);

/** Slots, integers, operators and nesting of one policy's words. */
export function checkTokens(tokens: readonly Token[]): CedarProblem[] {
  const problems: CedarProblem[] = [];
  let operators = 0;
  for (const token of tokens) {
    if (token.kind !== 'string' && OPERATORS.has(token.text)) operators += 1;
    if (operators === LIMITS.operators + 1) {
      const message = `found more than ${LIMITS.operators} operators, expected a shorter policy`;
      return [...problems, problem('ERR_CEDAR_TOO_DEEP', message, token)];
    }
    if (token.kind === 'slot') {
      problems.push(
        problem(
          'ERR_CEDAR_POLICY_INVALID',
          `found the template slot ${token.text}, expected a policy without slots`,
          token,
        ),
      );
    }
    // Cedar's i64 is exact and JavaScript's numbers are not: 2^53 + 1 would become 2^53 and turn a
    // deny into an allow. Nothing here is ever rounded, so what could be is refused.
    if (token.kind === 'integer' && Number(token.text) > Number.MAX_SAFE_INTEGER) {
      problems.push(
        problem(
          'ERR_CEDAR_POLICY_INVALID',
          `found the integer ${token.text.slice(0, 40)}, expected at most ${Number.MAX_SAFE_INTEGER}`,
          token,
        ),
      );
    }
  }
  const deep = deepest(tokens, '([{', ')]}');
  if (deep) problems.push(deep);
  return problems;
}

/** What can be said of a schema before a parser sees it: size and nesting. */
export function checkSchemaText(schema: string): readonly CedarProblem[] {
  if (schema.length > LIMITS.fileLength) {
    return [
      problem(
        'ERR_CEDAR_TOO_DEEP',
        `found a schema of ${schema.length} characters, expected at most ${LIMITS.fileLength}`,
      ),
    ];
  }
  if (!schema.isWellFormed()) {
    return [problem('ERR_CEDAR_SCHEMA_INVALID', 'found half a surrogate pair, expected Unicode')];
  }
  // In a schema angle brackets nest too: Set<Set<Set<…>>>.
  const { tokens, fault } = lex(schema);
  if (fault) return [problem('ERR_CEDAR_SCHEMA_INVALID', fault.message, fault)];
  const deep = deepest(tokens, '([{<', ')]}>');
  return deep ? [deep] : [];
}

function deepest(tokens: readonly Token[], open: string, close: string): CedarProblem | undefined {
  let depth = 0;
  for (const token of tokens) {
    if (token.kind !== 'punctuation') continue;
    if (open.includes(token.text)) depth += 1;
    else if (close.includes(token.text)) depth -= 1;
    if (depth > LIMITS.nesting) {
      return problem(
        'ERR_CEDAR_TOO_DEEP',
        `found brackets nested ${depth} deep, expected at most ${LIMITS.nesting}`,
        token,
      );
    }
  }
  return undefined;
}

function problem(
  code: CedarErrorCode,
  message: string,
  at?: { readonly start: number; readonly end: number },
): CedarProblem {
  return {
    code,
    severity: 'error',
    message,
    ...(at && { start: at.start, end: at.end }),
  };
}
