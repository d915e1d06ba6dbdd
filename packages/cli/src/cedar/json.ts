import { CedarDataError, parseCedarJson } from '@countersign/cedar';
import { CommandError, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import type { TextFile } from './text-file.ts';

/** JSON, or what is wrong with it and where in the text. */
export type JsonRead =
  | { readonly value: unknown; readonly fault?: never }
  | {
      readonly value?: never;
      readonly fault: { readonly message: string; readonly start: number };
    };

/** Parses JSON as Cedar has it: integers are exact, and no name comes twice in an object. */
export function readJson(text: string): JsonRead {
  try {
    return { value: parseCedarJson(text) };
  } catch (error) {
    if (!(error instanceof CedarDataError)) throw error;
    const { message, path } = error;
    const [, line = '1', column = '1'] = /^line (\d+), column (\d+)$/.exec(path) ?? [];
    const start = offsetOf(text, { line: Number(line), column: Number(column) });
    return { fault: { message: message.replace(/^cannot read the JSON: /, ''), start } };
  }
}

function offsetOf(
  text: string,
  { line, column }: { readonly line: number; readonly column: number },
): number {
  let start = 0;
  for (let number = 1; number < line; number += 1) start = text.indexOf('\n', start) + 1;
  return start + column - 1;
}

/**
 * @param what what it should be, for the message: `context`
 * @throws {CommandError} with line and column
 */
export function parseJsonFile({ name, text }: TextFile, what: string): unknown {
  const { value, fault } = readJson(text);
  if (!fault) return value;
  throw new CommandError(
    `cannot read ${what} '${printable(name)}' as JSON: ${printable(fault.message)}`,
  );
}

/** @throws {UsageError} with the column */
export function parseJsonOption(text: string, option: string): unknown {
  const { value, fault } = readJson(text);
  if (!fault) return value;
  throw new UsageError(`found no JSON in ${option}: ${printable(fault.message)}`);
}

/** A JSON object, not a list. */
export function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
