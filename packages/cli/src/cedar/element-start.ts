/** A bracket, a comma or a colon, or a value without them: a text, a number, a word. */
const WORD = /[{}[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+/gs;

/** Where an element of a text's outermost list starts (UTF-16 offset); the text is JSON. */
export function elementStart(text: string, index: number): number | undefined {
  let depth = 0;
  let current = -1;
  let isExpected = false;
  for (const { 0: word, index: at } of text.matchAll(WORD)) {
    if (isExpected) {
      current += 1;
      if (current === index) return at;
      isExpected = false;
    }
    if (word === '[' || word === '{') depth += 1;
    else if (word === ']' || word === '}') depth -= 1;
    isExpected = (depth === 1 && word === ',') || (depth === 1 && current < 0);
  }
  return undefined;
}
