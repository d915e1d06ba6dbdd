import type { CedarErrorCode } from '../cedar-error.ts';
import type { CedarProblem, PolicySource } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import { lex, type Token } from './lex.ts';

/**
 * Whether policies and templates are few and short enough to be read at all. Quick, whatever is in them.
 *
 * @param count how many they are together with links
 */
export function checkPolicySources(
  sources: readonly PolicySource[],
  count: number,
): readonly CedarProblem[] {
  if (count > LIMITS.policies) {
    const message = `found ${count} policies, expected at most ${LIMITS.policies}`;
    return [problem('ERR_CEDAR_TOO_DEEP', message)];
  }
  const length = sources.reduce((sum, { text }) => sum + text.length, 0);
  if (length > LIMITS.totalLength) {
    return [
      problem(
        'ERR_CEDAR_TOO_DEEP',
        `found policies of ${length} characters together, expected at most ${LIMITS.totalLength}`,
      ),
    ];
  }
  return sources.flatMap(({ id, text }) => {
    const tooLong = checkPolicyLength(text);
    return tooLong ? [{ ...tooLong, policy: id }] : [];
  });
}

/** Whether policies, templates and links have ids that can name them, each once. */
export function checkPolicyIds(named: readonly { readonly id: string }[]): readonly CedarProblem[] {
  const seen = new Set<string>();
  return named.flatMap(({ id }) => {
    const message = checkPolicyId(id, seen);
    seen.add(id);
    return message === undefined
      ? []
      : [{ ...problem('ERR_CEDAR_POLICY_INVALID', message), policy: id }];
  });
}

/** Why an id cannot name a policy; `seen` holds those that are taken. */
export function checkPolicyId(id: string, seen: ReadonlySet<string>): string | undefined {
  // Types do not hold for a caller in JavaScript.
  if (typeof id !== 'string') return `found ${typeof id} as an id, expected a name for the policy`;
  if (id === '') return 'found an empty id, expected a name for the policy';
  if (id.length > LIMITS.policyIdLength) {
    return `found an id of ${id.length} characters, expected at most ${LIMITS.policyIdLength}`;
  }
  if (!id.isWellFormed()) return 'found an id with half a surrogate pair, expected Unicode text';
  if (seen.has(id)) return `found the id '${id}' twice, expected every id once`;
  return undefined;
}

function checkPolicyLength(text: string): CedarProblem | undefined {
  if (text.length <= LIMITS.policyLength) return undefined;
  return problem(
    'ERR_CEDAR_TOO_DEEP',
    `found a policy of ${text.length} characters, expected at most ${LIMITS.policyLength}`,
  );
}

/** A policy's words, and what can be said of them before a parser sees them: bounds, and no words at all. */
export function checkPolicyText(text: string): {
  readonly tokens: readonly Token[];
  readonly problems: readonly CedarProblem[];
} {
  const tooLong = checkPolicyLength(text);
  if (tooLong) return { tokens: [], problems: [tooLong] };
  if (!text.isWellFormed()) {
    const message = 'found half a surrogate pair, expected Unicode';
    return { tokens: [], problems: [problem('ERR_CEDAR_POLICY_INVALID', message)] };
  }
  const { tokens, fault } = lex(text);
  const problems = checkTokens(tokens);
  if (fault) problems.push(problem('ERR_CEDAR_POLICY_INVALID', fault.message, fault));
  return { tokens, problems };
}

const OPERATORS: ReadonlySet<string> = new Set(['&&', '||', '+', '-', '*', 'if']);

/** Whether one policy's words keep the bounds of operators, nesting and chains. */
export function checkTokens(tokens: readonly Token[]): CedarProblem[] {
  let operators = 0;
  let names = 0;
  for (const [index, token] of tokens.entries()) {
    names = namesOfHas(tokens, index, names);
    if (names > LIMITS.hasPath) {
      const message = `found more than ${LIMITS.hasPath} names after \`has\`, expected fewer`;
      return [problem('ERR_CEDAR_TOO_DEEP', message, token)];
    }
    // Cedar reads `has a.b` as `has a && .a has b`.
    const isFurtherName = names > 1 && token.kind === 'identifier';
    if (isFurtherName || OPERATORS.has(token.text)) operators += 1;
    if (operators > LIMITS.operators) {
      const message = `found more than ${LIMITS.operators} operators, expected a shorter policy`;
      return [problem('ERR_CEDAR_TOO_DEEP', message, token)];
    }
  }
  const deep = deepest(tokens, '([{', ')]}') ?? longestChain(tokens);
  return deep ? [deep] : [];
}

/** How many names of the path after `has` there are up to a token, given how many before it. */
function namesOfHas(tokens: readonly Token[], index: number, before: number): number {
  const previous = tokens[index - 1]?.text;
  if (tokens[index]?.text === '.') return before;
  if (tokens[index]?.kind !== 'identifier') return 0;
  return previous === 'has' ? 1 : previous === '.' && before > 0 ? before + 1 : 0;
}

export function checkSchemaLength(schema: string): readonly CedarProblem[] {
  if (schema.length <= LIMITS.fileLength) return [];
  return [
    problem(
      'ERR_CEDAR_TOO_DEEP',
      `found a schema of ${schema.length} characters, expected at most ${LIMITS.fileLength}`,
    ),
  ];
}

/** What can be said of a schema before a parser sees it, in either syntax. */
export function checkSchemaText(schema: string): readonly CedarProblem[] {
  if (!schema.isWellFormed()) {
    return [problem('ERR_CEDAR_SCHEMA_INVALID', 'found half a surrogate pair, expected Unicode')];
  }
  const { tokens, fault } = lex(schema);
  if (fault) return [problem('ERR_CEDAR_SCHEMA_INVALID', fault.message, fault)];
  // In a schema angle brackets nest too: Set<Set<Set<…>>>.
  const deep = deepest(tokens, '([{<', ')]}>');
  return deep ? [deep] : [];
}

function deepest(tokens: readonly Token[], open: string, close: string): CedarProblem | undefined {
  let depth = 0;
  for (const token of tokens) {
    if (token.kind !== 'punctuation') continue;
    const bracket = token.text[0] as string;
    if (open.includes(bracket)) depth += 1;
    else if (close.includes(bracket)) depth -= 1;
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

/** Chains such as `a.b.c`, `a["b"]["c"]`, `a.b().c()`: Cedar makes a tree as deep as they are long. */
function longestChain(tokens: readonly Token[]): CedarProblem | undefined {
  const outer: number[] = [];
  let links = 0;
  for (const [index, token] of tokens.entries()) {
    const isBehind = isOperandEnd(tokens[index - 1]);
    if (token.kind !== 'punctuation') {
      if (tokens[index - 1]?.text !== '.') links = 0;
    } else if (token.text === '.') {
      links += 1;
    } else if ('([{'.includes(token.text)) {
      // An index is a link of its own; a call is one together with the name before it.
      outer.push(isBehind ? links + (token.text === '[' ? 1 : 0) : 0);
      links = 0;
    } else if (')]}'.includes(token.text)) {
      links = outer.pop() ?? 0;
    } else {
      links = 0;
    }
    if (links > LIMITS.depth) {
      return problem(
        'ERR_CEDAR_TOO_DEEP',
        `found a chain of more than ${LIMITS.depth} accesses, expected a shorter one`,
        token,
      );
    }
  }
  return undefined;
}

function isOperandEnd(token: Token | undefined): boolean {
  return token !== undefined && (token.kind !== 'punctuation' || ')]}'.includes(token.text));
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
