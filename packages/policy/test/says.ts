import type { Problem } from '@countersign/policy';

/** A problem on one line, as the table of broken repositories writes it. */
export function says({ severity, file, line, column, found, expected, mend }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return `${place} ${severity}: ${found}; ${expected}; ${mend}`;
}
