/** Where a text stops being JSON (UTF-16 offset), and what should have stood there. */
export interface JsonFault {
  readonly start: number;
  readonly message: string;
}

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: RFC 8259 §7 keeps exactly these out of strings
const WORD =
  /[{}[\],:]|"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: see above
const BLANK = /[ \t\r\n]*/y;

type State = 'value' | 'first value' | 'name' | 'first name' | 'colon' | 'next';
type Bracket = '{' | '[';

/** The first fault of a text that `JSON.parse` refuses: its own messages often do not say where. */
export function jsonFault(text: string): JsonFault | undefined {
  const open: Bracket[] = [];
  let state: State = 'value';
  let position = 0;
  for (;;) {
    position += lengthOf(BLANK, text, position);
    const length = lengthOf(WORD, text, position);
    const word = text.slice(position, position + length);
    const inside = open.at(-1);
    if (state === 'next' && inside === undefined) {
      return position === text.length ? undefined : fault(text, position, 'the end of the text');
    }
    const next = after(word, state, open);
    if (next === undefined) return fault(text, position, expectedIn(state, inside));
    state = next;
    position += length;
  }
}

/** The state after a word, or nothing when the word does not fit. Opens and closes brackets. */
function after(word: string, state: State, open: Bracket[]): State | undefined {
  const inside = open.at(-1);
  switch (state) {
    case 'value':
    case 'first value':
      if (word === '{' || word === '[') {
        open.push(word);
        return word === '{' ? 'first name' : 'first value';
      }
      if (word === ']' && state === 'first value') return closed(open);
      return /^["\-0-9tfn]/.test(word) ? 'next' : undefined;
    case 'name':
    case 'first name':
      if (word === '}' && state === 'first name') return closed(open);
      return word.startsWith('"') ? 'colon' : undefined;
    case 'colon':
      return word === ':' ? 'value' : undefined;
    case 'next':
      if (word === ',') return inside === '{' ? 'name' : 'value';
      return word !== '' && word === (inside === '{' ? '}' : ']') ? closed(open) : undefined;
  }
}

/** Where an element of the text's outermost list starts; the text is JSON. */
export function elementStart(text: string, index: number): number | undefined {
  let depth = 0;
  let count = -1;
  let position = 0;
  while (position < text.length) {
    position += lengthOf(BLANK, text, position);
    const length = lengthOf(WORD, text, position);
    const word = text.slice(position, position + length);
    if (word === ']' || word === '}') depth -= 1;
    else if (depth === 1 && word === ',') count += 1;
    else if (depth === 1 && count === index - 1) return position;
    if (word === '[' || word === '{') depth += 1;
    position += Math.max(1, length);
  }
  return undefined;
}

function closed(open: Bracket[]): State {
  open.pop();
  return 'next';
}

function expectedIn(state: State, inside: Bracket | undefined): string {
  switch (state) {
    case 'value':
      return 'a value';
    case 'first value':
      return "a value or ']'";
    case 'name':
      return 'a name in quotes';
    case 'first name':
      return "a name in quotes or '}'";
    case 'colon':
      return "':'";
    case 'next':
      return inside === '{' ? "',' or '}'" : "',' or ']'";
  }
}

function fault(text: string, start: number, expected: string): JsonFault {
  const [found = ''] = /^(?:[\w.+-]{1,40}|.)?/su.exec(text.slice(start, start + 41)) ?? [];
  if (found === '"') {
    return { start, message: 'found a text that does not end, or holds what JSON does not take' };
  }
  const what = found === '' ? 'the end of the text' : `'${found}'`;
  return { start, message: `found ${what}, expected ${expected}` };
}

function lengthOf(pattern: RegExp, text: string, position: number): number {
  pattern.lastIndex = position;
  return pattern.exec(text)?.[0].length ?? 0;
}
