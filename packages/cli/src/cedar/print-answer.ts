import type { Arguments, Io } from '../command-line/command.ts';
import { jsonText } from '../command-line/json-text.ts';

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
  return jsonText(value, (_key, each) => (typeof each === 'bigint' ? rawJSON(String(each)) : each));
}
