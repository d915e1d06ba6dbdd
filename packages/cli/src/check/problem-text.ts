import type { Problem } from '@countersign/policy';

/** A problem as a compiler would print it, with its mend on a line of its own. */
export function problemText(problem: Problem): string {
  const where = [problem.file, problem.line, problem.column].filter((part) => part !== undefined);
  return `${where.join(':')}: ${problem.severity}: found ${problem.found}, expected ${problem.expected}\n    ${problem.mend}`;
}
