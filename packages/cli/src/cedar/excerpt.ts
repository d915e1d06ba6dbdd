import { printable } from '../record/printable.ts';

/** Columns of a terminal that a quoted line may take. */
const WIDTH_MAX = 100;
/** Columns before the mark that are kept when the line is cut. */
const BEFORE_MAX = 40;

/**
 * The line of `text` where `start` is, and below it carets under what lies between `start` and `end`, at most to
 * the line's end. A long line is cut on both sides of the mark. Nothing in it is obeyed by a terminal.
 */
export function excerpt(
  text: string,
  { start, end }: { readonly start: number; readonly end: number },
): readonly [line: string, mark: string] {
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  const newline = text.indexOf('\n', start);
  const lineEnd = newline === -1 ? text.length : newline;
  // Far more than what fits, so that a file of one line of ten million characters costs no more than any other.
  const from = Math.max(lineStart, start - 4 * WIDTH_MAX);
  const to = Math.min(lineEnd, start + 4 * WIDTH_MAX);
  const until = Math.min(Math.max(end, start), to);
  const before = shown(text.slice(from, start));
  const marked = shown(text.slice(start, until));
  const after = shown(text.slice(until, to)).trimEnd();
  const isShort = widthOf(before) + widthOf(marked) + widthOf(after) <= WIDTH_MAX;
  const near = lastColumns(before, isShort ? WIDTH_MAX : BEFORE_MAX);
  const left = `${from > lineStart || near.isCut ? '…' : ''}${near.text}`;
  const rest = firstColumns(`${marked}${after}`, WIDTH_MAX - widthOf(left));
  const isCutAfter = to < lineEnd || rest.isCut;
  const carets = Math.max(1, Math.min(widthOf(marked), widthOf(rest.text)));
  return [
    `${left}${rest.text}${isCutAfter ? '…' : ''}`,
    `${' '.repeat(widthOf(left))}${'^'.repeat(carets)}`,
  ];
}

function shown(text: string): string {
  return printable(text.toWellFormed().replaceAll('\r', '').replaceAll('\t', '  '));
}

function firstColumns(text: string, columns: number): { text: string; isCut: boolean } {
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns) return { text: kept, isCut: true };
    kept += character;
  }
  return { text: kept, isCut: false };
}

function lastColumns(text: string, columns: number): { text: string; isCut: boolean } {
  const kept: string[] = [];
  let width = 0;
  for (const character of [...text].toReversed()) {
    width += widthOf(character);
    if (width > columns) return { text: kept.toReversed().join(''), isCut: true };
    kept.push(character);
  }
  return { text, isCut: false };
}

/** Letters that take two columns: East Asian scripts and symbols, and pictures. Close enough for a caret. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\p{Emoji_Presentation}\u{20000}-\u{3fffd}]/u;

function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (!/\p{M}/u.test(character)) width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}
