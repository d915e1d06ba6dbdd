const SHOWN_MAX = 60;

/** A value from a bank's file as a message shows it: short, quoted, one line, never a whole tree. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value))
    return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') return 'a mapping';
  return `${String(value)} (a ${typeof value})`;
}

/** Text in single quotes, cut to a line. */
export function quote(text: string): string {
  const line = visible(text);
  return line.length > SHOWN_MAX ? `'${line.slice(0, SHOWN_MAX)}…'` : `'${line}'`;
}

/** Text with control characters written out: a report is read in a terminal, which would obey them. */
export function visible(text: string): string {
  return text.replace(/\p{C}/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u{${character.codePointAt(0)?.toString(16)}}` : escaped;
  });
}

/** Names for a sentence: `a, b and c`, cut after twelve. */
export function listOf(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return 'none';
  const shown = all.slice(0, 12);
  return all.length > shown.length
    ? `${shown.join(', ')} and ${all.length - shown.length} more`
    : shown.join(', ');
}
