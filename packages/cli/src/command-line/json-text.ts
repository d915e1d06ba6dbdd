/**
 * JSON on one line, with nothing in it that a terminal obeys: controls (C0, DEL, C1), what turns the direction of writing
 * or cannot be seen, and line separators are `\u` escapes. The value that is read back is the same.
 */
export function jsonText(
  value: unknown,
  replacer?: (key: string, value: unknown) => unknown,
): string {
  // Such characters stand inside of strings only: all others were written by `stringify`.
  return JSON.stringify(value, replacer).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
