import type { Problem } from '../repository.ts';
import { visible } from './describe.ts';

/** How many problems one check reports; more are counted, not listed. */
export const PROBLEMS_MAX = 500;

/** Where something stands: a file, and in it a line and column from 1 when they are known. */
export interface Place {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** What is wrong, in the three parts that a person needs to mend it. */
export interface Words {
  readonly found: string;
  readonly expected: string;
  readonly mend: string;
}

/** Collects problems while a check goes on, so that all are told at once. */
export interface Report {
  readonly hasErrors: boolean;
  /** Errors so far, those left out of the list included: tells whether a step added any. */
  readonly errorCount: number;
  error(place: Place, words: Words): void;
  warn(place: Place, words: Words): void;
  /** Sorted by file, then line, then column; at most {@link PROBLEMS_MAX} and one that counts the rest. */
  problems(): Problem[];
}

/** An empty report. */
export function createReport(): Report {
  const problems: Problem[] = [];
  const told = new Set<string>();
  let leftOut = 0;
  let errorCount = 0;
  const add = (severity: Problem['severity'], place: Place, { found, expected, mend }: Words) => {
    const words = { found: visible(found), expected: visible(expected), mend: visible(mend) };
    // Something shared (a parameter that many operations refer to) is at fault once.
    const key = JSON.stringify([severity, place, words]);
    if (told.has(key)) return;
    if (severity === 'error') errorCount += 1;
    if (problems.length === PROBLEMS_MAX) {
      leftOut += 1;
    } else {
      told.add(key);
      problems.push({ severity, ...place, ...words });
    }
  };
  return {
    get hasErrors() {
      return errorCount > 0;
    },
    get errorCount() {
      return errorCount;
    },
    error: (place, words) => add('error', place, words),
    warn: (place, words) => add('warning', place, words),
    problems: () => [
      ...problems.toSorted(byPlace),
      // A report cut short must not read as one with warnings only.
      ...(leftOut > 0 ? [countOfTheRest(leftOut, errorCount > 0)] : []),
    ],
  };
}

function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

function countOfTheRest(count: number, hasErrors: boolean): Problem {
  return {
    severity: hasErrors ? 'error' : 'warning',
    file: '.',
    found: `${count} more problems`,
    expected: `at most ${PROBLEMS_MAX}`,
    mend: 'mend those above and check again',
  };
}
