/** By Unicode scalar, which is UTF-8's order; JavaScript's `<` puts a surrogate pair before U+E000. */
export function compareText(left: string, right: string): number {
  const end = Math.min(left.length, right.length);
  for (let index = 0; index < end; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a === b) continue;
    const aIsSurrogate = a >= 0xd800 && a < 0xe000;
    const bIsSurrogate = b >= 0xd800 && b < 0xe000;
    return aIsSurrogate === bIsSurrogate ? a - b : aIsSurrogate ? 1 : -1;
  }
  return left.length - right.length;
}
