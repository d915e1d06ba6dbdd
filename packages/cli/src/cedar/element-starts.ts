/** A bracket, a comma or a colon, or a value without them: a text, a number, a word. */
const WORD = /[{}[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}[\],:"]+/gs;

/**
 * Where elements of a text's outermost list start (UTF-16 offsets), found in one pass.
 *
 * @param text JSON
 * @param wanted the indexes of these elements
 */
export function elementStarts(
  text: string,
  wanted: ReadonlySet<number>,
): ReadonlyMap<number, number> {
  const starts = new Map<number, number>();
  let depth = 0;
  let index = -1;
  let isNext = false;
  for (const { 0: word, index: at } of text.matchAll(WORD)) {
    if (isNext) {
      index += 1;
      if (wanted.has(index)) starts.set(index, at);
      if (starts.size === wanted.size) break;
    }
    if (word === '[' || word === '{') depth += 1;
    else if (word === ']' || word === '}') depth -= 1;
    isNext = depth === 1 && (word === ',' || index < 0);
  }
  return starts;
}
