import type { AnswerRow } from '@countersign/audit';
import { shortName } from '../record/event-line.ts';
import { printable } from '../record/printable.ts';
import { cellsOf } from './answer-columns.ts';

/** A cell of the table at most; `--csv` and `--json` have all. */
const CELL_MAX = 48;
const HEAD = ['TIME (UTC)', 'LOG AND INDEX', 'LEAF HASH', 'WHAT', 'WHO', 'ON WHAT', 'WHY', 'EVENT'];

/** An answer as lines of a table for people; nothing at all when there are no rows. */
export function answerTable(rows: readonly AnswerRow[]): string {
  if (rows.length === 0) return '';
  const lines = [HEAD, ...rows.map(lineOf)].map((cells) => cells.map(cut));
  const widths = HEAD.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  return lines
    .map((cells) =>
      cells
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function lineOf(row: AnswerRow): readonly string[] {
  const cells = cellsOf(row);
  const { kind, effect, action, surface, resourceId, status } = cells;
  const via = [cells.actors, cells.caller].filter(Boolean).map(names).join(' ');
  const what = kind === 'decision' || kind === 'authentication' ? effect : kind;
  return [
    cells.at.slice(0, 23).replace('T', ' '),
    `${cells.log} ${cells.index}`,
    // Enough to see two apart; the whole hash is in the other forms.
    cells.leafHash.slice(0, 16),
    what,
    `${names(cells.subject)}${via ? ` via ${via}` : ''}`,
    [surface, action || (status && `status ${status}`), shortName(resourceId)]
      .filter(Boolean)
      .join(' '),
    cells.reason === 'policy-permits' ? cells.policies : cells.reason || cells.detail,
    cells.id,
  ];
}

function names(text: string): string {
  return text.split(' ').map(shortName).join(' ');
}

function cut(text: string): string {
  const safe = printable(text);
  return safe.length > CELL_MAX ? `${safe.slice(0, CELL_MAX - 1)}…` : safe;
}
