import type { AnswerRow } from '@countersign/audit';
import { printable } from '../record/printable.ts';
import { COLUMNS, cellsOf } from './answer-columns.ts';

/** A spreadsheet takes a cell that begins so as a formula, also behind spaces; much in an event is a stranger's word. */
const FORMULA = /^\s*[=+\-@\t\r|%＝＋－＠]/;

/**
 * An answer as comma-separated values with a header line (RFC 4180): lines end in CR LF. Controls and what cannot be seen
 * are escapes (`\u{1b}`): people look at such a file in a terminal too.
 */
export function answerCsv(rows: readonly AnswerRow[]): string {
  const lines = rows.map((row) => {
    const cells = cellsOf(row);
    return COLUMNS.map((column) => csvCell(printable(cells[column]))).join(',');
  });
  return [COLUMNS.join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

/** RFC 4180 §2, 5 to 7; what could be a formula gets an apostrophe before it, which spreadsheets leave out. */
export function csvCell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
