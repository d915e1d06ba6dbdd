/** A word, a string or one other character of a schema, with where it stands. */
export interface SchemaToken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

// Names with their namespaces are one token. Each alternative begins differently, so that this is linear.
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|\w+(?:::\w+)*|\S)/y;

/** The tokens of schema text whose comments are blanked out. */
export function lexSchema(text: string): readonly SchemaToken[] {
  const tokens: SchemaToken[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const word = match[1] ?? '';
    tokens.push({ text: word, start: TOKEN.lastIndex - word.length, end: TOKEN.lastIndex });
  }
  return tokens;
}

/** The index after the annotations (`@doc("...") @internal`) that begin at `at`. */
export function afterAnnotations(tokens: readonly SchemaToken[], at: number): number {
  let next = at;
  while (tokens[next]?.text === '@') {
    next += 2;
    if (tokens[next]?.text === '(') next += 3;
  }
  return next;
}
