/** A word of a Cedar text, with UTF-16 offsets into it. */
export interface Token {
  readonly kind: 'identifier' | 'integer' | 'string' | 'slot' | 'punctuation';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** What no token of Cedar starts with, or a string that does not end. */
export interface LexFault {
  readonly message: string;
  readonly start: number;
  readonly end: number;
}

/** Splits a policy or a schema into words; stops at the first thing that is none. */
export function lex(text: string): { tokens: readonly Token[]; fault?: LexFault } {
  const tokens: Token[] = [];
  let position = skipBlank(text, 0);
  while (position < text.length) {
    const start = position;
    const code = text.charCodeAt(start);
    let kind: Token['kind'];
    if (isWordStart(code)) {
      kind = 'identifier';
      position = endOfWord(text, start + 1);
    } else if (isDigit(code)) {
      kind = 'integer';
      position = endOfDigits(text, start + 1);
    } else if (code === QUOTE) {
      kind = 'string';
      position = endOfString(text, start);
    } else if (code === QUESTION && isWordStart(text.charCodeAt(start + 1))) {
      kind = 'slot';
      position = endOfWord(text, start + 2);
    } else {
      kind = 'punctuation';
      position = endOfPunctuation(text, start);
    }
    if (position === NOWHERE) return { tokens, fault: faultAt(text, start) };
    tokens.push({ kind, text: text.slice(start, position), start, end: position });
    position = skipBlank(text, position);
  }
  return { tokens };
}

const NOWHERE = -1;
const QUOTE = 0x22;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

function skipBlank(text: string, from: number): number {
  let position = from;
  while (position < text.length) {
    const code = text.charCodeAt(position);
    if (isWhiteSpace(code)) {
      position += 1;
    } else if (code === SLASH && text.charCodeAt(position + 1) === SLASH) {
      // A comment ends at a CR as well as at an LF; were it taken to run on, a forbid after a lone CR
      // would vanish into a comment that Cedar does not see.
      position += 2;
      while (position < text.length && !isLineEnd(text.charCodeAt(position))) position += 1;
    } else {
      break;
    }
  }
  return position;
}

/** Unicode's White_Space, as in Cedar's own lexer: JavaScript's `\s` lacks U+0085 and has U+FEFF. */
function isWhiteSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= CARRIAGE_RETURN);
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

function isLineEnd(code: number): boolean {
  return code === LINE_FEED || code === CARRIAGE_RETURN;
}

function isWordStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function endOfWord(text: string, from: number): number {
  let position = from;
  for (let code = text.charCodeAt(position); isWordStart(code) || isDigit(code); ) {
    position += 1;
    code = text.charCodeAt(position);
  }
  return position;
}

function endOfDigits(text: string, from: number): number {
  let position = from;
  while (isDigit(text.charCodeAt(position))) position += 1;
  return position;
}

/** A backslash takes whatever follows but a line feed with it; what escapes mean is seen to later. */
function endOfString(text: string, start: number): number {
  for (let position = start + 1; position < text.length; position += 1) {
    const code = text.charCodeAt(position);
    if (code === QUOTE) return position + 1;
    if (code === BACKSLASH) {
      position += 1;
      if (text.charCodeAt(position) === LINE_FEED) return NOWHERE;
    }
  }
  return NOWHERE;
}

function endOfPunctuation(text: string, start: number): number {
  const next = text.charCodeAt(start + 1);
  switch (text[start]) {
    case '=':
    case '!':
    case '<':
    case '>':
      return next === EQUALS ? start + 2 : start + 1;
    case '&':
    case '|':
      // Twice is an operator of policies, once is a word of neither policies nor schemas.
      return next === text.charCodeAt(start) ? start + 2 : NOWHERE;
    case ':':
      return next === text.charCodeAt(start) ? start + 2 : start + 1;
    case '@':
    case '.':
    case ',':
    case ';':
    case '(':
    case ')':
    case '{':
    case '}':
    case '[':
    case ']':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '?':
      return start + 1;
    default:
      return NOWHERE;
  }
}

function faultAt(text: string, start: number): LexFault {
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
  if (character === '"') return { message: 'found a string without end', start, end: text.length };
  const message =
    character === "'"
      ? 'found a single quote, expected strings in double quotes'
      : `found ${JSON.stringify(character)}`;
  return { message, start, end: start + character.length };
}
