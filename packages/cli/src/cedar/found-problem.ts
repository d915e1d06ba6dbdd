import type { CedarProblem } from '@countersign/cedar';
import { printable } from '../record/printable.ts';
import { excerpt } from './excerpt.ts';
import { placeOf } from './place.ts';
import type { TextFile } from './text-file.ts';

/** Something wrong, and in which file; offsets count in that file's text. */
export interface FoundProblem extends Omit<CedarProblem, 'code'> {
  /** A stable code of the cedar room. */
  readonly code: string;
  readonly file?: TextFile;
}

/** A problem as `--json` prints it. */
export interface PrintedProblem extends Omit<FoundProblem, 'file' | 'start' | 'end'> {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

/**
 * A problem as a compiler would print it: place, what is wrong, the line with a mark, how to mend it. What comes
 * from files is not obeyed by a terminal.
 */
export function problemText({
  severity,
  message,
  help,
  policy,
  file,
  start,
  end,
}: FoundProblem): string {
  const place = start === undefined || !file ? undefined : placeOf(file, start);
  const where = [file && printable(file.name), place?.line, place?.column].filter(
    (part) => part !== undefined,
  );
  const whose = policy === undefined ? '' : ` policy '${printable(policy)}':`;
  // The validator names the policy as well.
  const what = printable(message.replace(`for policy \`${policy}\`, `, ''));
  const lines = [`${where.length > 0 ? `${where.join(':')}: ` : ''}${severity}:${whose} ${what}`];
  if (file && place && start !== undefined) {
    const number = String(place.line).padStart(5);
    const [line, mark] = excerpt(file.text, { start, end: end ?? start });
    lines.push(`${number} | ${line}`, `${' '.repeat(number.length)} | ${mark}`);
  }
  if (help !== undefined) lines.push(`    help: ${printable(help)}`);
  return lines.join('\n');
}

export function problemJson({ file, start, end, ...problem }: FoundProblem): PrintedProblem {
  if (!file) return problem;
  const from = start === undefined ? undefined : placeOf(file, start);
  const to = end === undefined ? undefined : placeOf(file, end);
  return {
    ...problem,
    file: file.name,
    ...from,
    ...(to && { endLine: to.line, endColumn: to.column }),
  };
}
