import { readFileSync } from 'node:fs';

/** Of Stryker's report, what is looked at here. */
interface Report {
  readonly files: {
    readonly [file: string]: { readonly source: string; readonly mutants: readonly Mutant[] };
  };
}

interface Mutant {
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly status: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

/** Both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** A mutant that changes nothing anybody can see, and why; found again by its text, wherever it moves. */
export interface Equivalent {
  readonly file: string;
  /** The line on which it starts, without its indentation. */
  readonly line: string;
  /** What stands there instead, white space joined; nothing for all mutants that start on the line. */
  readonly replacement?: string;
  readonly reason: string;
}

export interface Judgement {
  readonly killed: number;
  readonly equivalent: number;
  /** That change behaviour, or may, and live. */
  readonly survivors: readonly string[];
  /** Entries of the list that fit nothing any more. */
  readonly stale: readonly Equivalent[];
}

/** Counts what was killed, what could not be, and what should have been. */
export function judgeReport(file: string, equivalents: readonly Equivalent[]): Judgement {
  const report: Report = JSON.parse(readFileSync(file, 'utf8'));
  const used = new Set<Equivalent>();
  const survivors: string[] = [];
  let killed = 0;
  let equivalent = 0;
  for (const [name, { source, mutants }] of Object.entries(report.files)) {
    const lines = source.split('\n');
    for (const mutant of mutants) {
      if (mutant.status === 'Killed' || mutant.status === 'Timeout') killed += 1;
      if (mutant.status !== 'Survived' && mutant.status !== 'NoCoverage') continue;
      const { start } = mutant.location;
      const line = (lines[start.line - 1] ?? '').trim();
      const replacement = (mutant.replacement ?? '').replaceAll(/\s+/g, ' ').trim();
      const known = equivalents.find(
        (each) =>
          each.file === name &&
          each.line === line &&
          (each.replacement === undefined || each.replacement === replacement),
      );
      if (known) {
        used.add(known);
        equivalent += 1;
      } else {
        survivors.push(`${name}:${start.line} ${line} => ${replacement}`);
      }
    }
  }
  const files = new Set(Object.keys(report.files));
  const stale = equivalents.filter((each) => files.has(each.file) && !used.has(each));
  return { killed, equivalent, survivors, stale };
}
