import type { TextFile } from './text-file.ts';

/** Where something stands in a text: from 1, the column in UTF-16 units, as editors count. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

// A file may have ten thousand problems: its lines are counted once.
const LINE_STARTS = new WeakMap<TextFile, readonly number[]>();

/** @param offset in UTF-16 units, within the file's text */
export function placeOf(file: TextFile, offset: number): Place {
  const starts = LINE_STARTS.get(file) ?? lineStarts(file.text);
  LINE_STARTS.set(file, starts);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}
