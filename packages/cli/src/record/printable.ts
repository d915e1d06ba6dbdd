/** Controls (C0, DEL, C1), what turns the direction of writing or cannot be seen, and line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text as a terminal may have it: one line, and nothing in it that a terminal obeys. Such a character
 * becomes its escape, `\u{1b}`.
 */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
