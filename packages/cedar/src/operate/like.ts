import type { PatternElement } from '../ast/expression.ts';

/**
 * Makes a matcher of a `like` pattern: `*` stands for any run of characters, everything else for itself,
 * code unit by code unit and without normalisation (a literal is whole scalars, so that units and scalars
 * match alike). Time is linear in text times pattern, whatever the pattern.
 */
export function compilePattern(pattern: readonly PatternElement[]): (text: string) => boolean {
  const pieces = splitAtWildcards(pattern);
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (pieces.length === 1) return (text) => text === first;
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');
  const shortest = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return (text) => {
    if (text.length < shortest || !text.startsWith(first) || !text.endsWith(last)) return false;
    // Leftmost matches leave most for the rest, so no going back is ever needed.
    let position = first.length;
    const end = text.length - last.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, position);
      if (found < 0 || found + piece.length > end) return false;
      position = found + piece.length;
    }
    return true;
  };
}

/** The literal texts between wildcards: one more than there are wildcards. */
function splitAtWildcards(pattern: readonly PatternElement[]): readonly string[] {
  const pieces = [''];
  for (const element of pattern) {
    if (typeof element === 'string') pieces[pieces.length - 1] += element;
    else pieces.push('');
  }
  return pieces;
}
