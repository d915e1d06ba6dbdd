import { parseCedarJson } from '@countersign/cedar';
import { CommandError, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { type JsonFault, jsonFault } from './json-fault.ts';
import { placesIn } from './place.ts';
import type { TextFile } from './text-file.ts';

/** JSON, or what is wrong with it. */
export type JsonRead =
  | { readonly value: unknown; readonly fault?: never }
  | { readonly value?: never; readonly fault: JsonFault };

/** Parses JSON with its integers exact: those beyond 2^53 become bigints. */
export function readJson(text: string): JsonRead {
  try {
    return { value: parseCedarJson(text) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { fault: jsonFault(text) ?? { start: 0, message } };
  }
}

/**
 * @param what what it should be, for the message: `context`
 * @throws {CommandError} naming file, line and column
 */
export function parseJsonFile({ name, text }: TextFile, what: string): unknown {
  const { value, fault } = readJson(text);
  if (!fault) return value;
  const { line, column } = placesIn(text)(fault.start);
  throw new CommandError(
    `cannot read ${what} '${printable(name)}' as JSON: line ${line}, column ${column}: ${printable(fault.message)}`,
  );
}

/** @throws {UsageError} */
export function parseJsonOption(text: string, option: string): unknown {
  const { value, fault } = readJson(text);
  if (!fault) return value;
  throw new UsageError(
    `found no JSON in ${option}: at character ${fault.start + 1} ${printable(fault.message)}`,
  );
}

/** A JSON object, not a list. */
export function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
