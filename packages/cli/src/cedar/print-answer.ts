import type { Arguments, Io } from '../command-line/command.ts';

/** Prints what was found: one JSON value on a line, or the lines for a reader. */
export function printAnswer(
  io: Io,
  args: Arguments,
  { json, lines }: { readonly json: unknown; readonly lines: readonly string[] },
): void {
  io.out(`${args.flag('json') ? exactJson(json) : lines.join('\n')}\n`);
}

/**
 * JSON on one line, with its bigints as the integers they are, digit by digit, and nothing in it that a terminal
 * obeys: texts come from files.
 */
export function exactJson(value: unknown): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };
  const text = JSON.stringify(value, (_key, each) =>
    typeof each === 'bigint' ? rawJSON(String(each)) : each,
  );
  // Such characters stand inside of strings only: all others were written by `stringify`.
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
