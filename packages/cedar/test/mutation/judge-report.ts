import { readFileSync } from 'node:fs';

/** Of Stryker's report, what is looked at here. */
interface Report {
  readonly files: {
    readonly [file: string]: { readonly source: string; readonly mutants: readonly Mutant[] };
  };
}

interface Mutant {
  readonly replacement?: string;
  readonly status: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

/** Both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

/** Mutants of one file that no test can kill, for one reason. */
export interface Equivalents {
  readonly file: string;
  readonly reason: string;
  readonly mutants: readonly Change[];
}

/** A mutant by its texts, so that it is found again wherever it moves; white space joined, long texts cut. */
interface Change {
  /** The line on which it starts. */
  readonly line: string;
  /** What is replaced, as far as it stands on that line. */
  readonly from: string;
  readonly to: string;
}

export interface Judgement {
  readonly killed: number;
  readonly equivalent: number;
  /** Those that change behaviour, or may, and live. */
  readonly survivors: readonly (Change & { readonly file: string; readonly place: number })[];
  /** Entries of the list that fit no survivor: killed by now, or gone. */
  readonly stale: readonly (Change & { readonly file: string })[];
}

/** Counts what was killed, what could not be, and what should have been. */
export function judgeReport(file: string, equivalents: readonly Equivalents[]): Judgement {
  const report: Report = JSON.parse(readFileSync(file, 'utf8'));
  const listed = equivalents.flatMap(({ file: name, mutants }) =>
    mutants.map((change) => ({ file: name, ...change })),
  );
  const known = new Map(listed.map((change) => [keyOf(change), change]));
  const met = new Set<string>();
  const survivors: Judgement['survivors'][number][] = [];
  let killed = 0;
  let equivalent = 0;
  for (const [name, { source, mutants }] of Object.entries(report.files)) {
    const lines = source.split('\n');
    for (const mutant of mutants) {
      if (mutant.status === 'Killed' || mutant.status === 'Timeout') killed += 1;
      if (mutant.status !== 'Survived' && mutant.status !== 'NoCoverage') continue;
      const change = { file: name, ...changeOf(mutant, lines) };
      const key = keyOf(change);
      if (known.has(key)) {
        met.add(key);
        equivalent += 1;
      } else {
        survivors.push({ ...change, place: mutant.location.start.line });
      }
    }
  }
  const files = new Set(Object.keys(report.files));
  const stale = listed.filter((change) => files.has(change.file) && !met.has(keyOf(change)));
  return { killed, equivalent, survivors, stale };
}

const TEXT_MAX = 120;

function changeOf({ location: { start, end }, replacement = '' }: Mutant, lines: string[]): Change {
  const line = lines[start.line - 1] ?? '';
  const to = end.line === start.line ? end.column - 1 : undefined;
  return { line: text(line), from: text(line.slice(start.column - 1, to)), to: text(replacement) };
}

function text(code: string): string {
  return code.replaceAll(/\s+/g, ' ').trim().slice(0, TEXT_MAX);
}

function keyOf({ file, line, from, to }: Change & { readonly file: string }): string {
  return JSON.stringify([file, line, from, to]);
}
