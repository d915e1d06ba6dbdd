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

// In the order of trial. Whitespace is Unicode's White_Space, as in Cedar's own lexer: JavaScript's
// `\s` lacks U+0085 and has U+FEFF. A comment ends at a CR as well as at an LF; were it taken to run
// on, a forbid after a lone CR would vanish into a comment that Cedar does not see.
const TOKEN =
  /(?<blank>\p{White_Space}+|\/\/[^\n\r]*)|(?<identifier>[_a-zA-Z][_a-zA-Z0-9]*)|(?<integer>[0-9]+)|(?<string>"(?:\\[^\n]|[^"\\])*")|(?<slot>\?[_a-zA-Z][_a-zA-Z0-9]*)|(?<punctuation>&&|\|\||[@(){}[\]<>,;:.=!&|+\-*?])/uy;

/** Splits a policy or a schema into words; stops at the first thing that is none. */
export function lex(text: string): { tokens: readonly Token[]; fault?: LexFault } {
  const tokens: Token[] = [];
  // Files written on Windows may start with a byte order mark, which Cedar itself refuses.
  let position = text.startsWith('\uFEFF') ? 1 : 0;
  while (position < text.length) {
    TOKEN.lastIndex = position;
    const match = TOKEN.exec(text);
    if (!match?.groups) return { tokens, fault: faultAt(text, position) };
    const start = position;
    position = TOKEN.lastIndex;
    const kind = kindOf(match.groups);
    if (kind) tokens.push({ kind, text: match[0], start, end: position });
  }
  return { tokens };
}

function kindOf(groups: { [name: string]: string | undefined }): Token['kind'] | undefined {
  if (groups['identifier'] !== undefined) return 'identifier';
  if (groups['integer'] !== undefined) return 'integer';
  if (groups['string'] !== undefined) return 'string';
  if (groups['slot'] !== undefined) return 'slot';
  return groups['punctuation'] === undefined ? undefined : 'punctuation';
}

function faultAt(text: string, start: number): LexFault {
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
  return character === '"'
    ? { message: 'found a string without end', start, end: text.length }
    : { message: `found ${JSON.stringify(character)}`, start, end: start + character.length };
}
