const ESCAPE = /\\(?:x([0-7][0-9a-fA-F])|u\{([0-9a-fA-F_]{1,7})\}|([nrt0'"\\]))|\\/g;
const SIMPLE: { readonly [letter: string]: string } = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  "'": "'",
  '"': '"',
  '\\': '\\',
};

/**
 * The value of a string literal, quotes included in `literal`; nothing when an escape in it is not
 * Cedar's (Rust's: `\n \r \t \0 \' \" \\ \x7F \u{10FFFF}`).
 */
export function unescapeString(literal: string): string | undefined {
  let isValid = true;
  const value = literal.slice(1, -1).replace(ESCAPE, (_all, hex, unicode, letter) => {
    if (letter !== undefined) return SIMPLE[letter] ?? '';
    const digits: string | undefined = hex ?? unicode?.replaceAll('_', '');
    const code = digits ? Number.parseInt(digits, 16) : Number.NaN;
    if (code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)) return String.fromCodePoint(code);
    isValid = false;
    return '';
  });
  return isValid ? value : undefined;
}
