import type { PatternElement } from '../ast/expression.ts';

/**
 * The value of a string literal, quotes included in `literal`; nothing when something in it is not
 * Cedar's: escapes are Rust's (`\n \r \t \0 \' \" \\ \x7F \u{10FFFF}`), and a bare CR is refused.
 */
export function unescapeString(literal: string): string | undefined {
  if (isPlain(literal)) return literal.slice(1, -1);
  let value = '';
  for (const character of unescaped(literal)) {
    // `\*` is for patterns only.
    if (character === undefined || character === ESCAPED_STAR) return undefined;
    value += character;
  }
  return value;
}

/** The pattern that a string literal right of `like` stands for; nothing when an escape is not Cedar's. */
export function unescapePattern(literal: string): readonly PatternElement[] | undefined {
  const pattern: PatternElement[] = [];
  let text = '';
  for (const character of unescaped(literal)) {
    if (character === undefined) return undefined;
    // Also when it was written `\x2a`: Cedar looks for stars after it has unescaped.
    if (character === '*') {
      if (text !== '') pattern.push(text);
      text = '';
      pattern.push(WILDCARD);
    } else {
      text += character === ESCAPED_STAR ? '*' : character;
    }
  }
  if (text !== '') pattern.push(text);
  return pattern;
}

const WILDCARD: PatternElement = Object.freeze({ wildcard: true });
const ESCAPED_STAR = '\\*';

function isPlain(literal: string): boolean {
  return !literal.includes('\\') && !literal.includes('\r');
}

const SIMPLE: { readonly [letter: string]: string } = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  "'": "'",
  '"': '"',
  '\\': '\\',
  '*': ESCAPED_STAR,
};

const HEX = /x([0-7][0-9a-fA-F])/y;
const UNICODE = /u\{([0-9a-fA-F][0-9a-fA-F_]*)\}/y;

/** The characters, `\*` kept as it is; `undefined` for what is not Cedar's. */
function* unescaped(literal: string): Generator<string | undefined> {
  const end = literal.length - 1;
  for (let position = 1; position < end; position += 1) {
    const character = literal[position] as string;
    if (character === '\r') yield undefined;
    if (character !== '\\') {
      yield character;
      continue;
    }
    position += 1;
    const simple = SIMPLE[literal[position] as string];
    if (simple !== undefined) {
      yield simple;
      continue;
    }
    HEX.lastIndex = position;
    UNICODE.lastIndex = position;
    const match = HEX.exec(literal) ?? UNICODE.exec(literal);
    yield match ? fromHex(match[1] as string) : undefined;
    position += (match?.[0].length ?? 1) - 1;
  }
}

function fromHex(written: string): string | undefined {
  const digits = written.replaceAll('_', '');
  const code = digits.length > 6 ? Number.NaN : Number.parseInt(digits, 16);
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
    ? String.fromCodePoint(code)
    : undefined;
}
