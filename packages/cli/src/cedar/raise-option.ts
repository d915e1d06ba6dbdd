import type { CedarJson, RaisableAttribute } from '@countersign/cedar';
import { type Arguments, UsageError } from '../command-line/command.ts';
import { printable } from '../record/printable.ts';
import { readJson } from './json.ts';

/**
 * Reads `--raise acr=silver,gold` and `--lower risk`: names from the context inward, dots between, and what they
 * could become. A value that is JSON is taken as such, any other as text.
 *
 * @throws {UsageError} when there is no name
 */
export function raisableAttributes(args: Arguments): readonly RaisableAttribute[] {
  return [
    ...args.texts('raise').map((text) => ({ ...attributeOf(text, '--raise') })),
    ...args.texts('lower').map((text) => ({
      ...attributeOf(text, '--lower'),
      order: 'descending' as const,
    })),
  ];
}

function attributeOf(text: string, option: string): RaisableAttribute {
  const at = text.indexOf('=');
  const attribute = (at < 0 ? text : text.slice(0, at)).split('.');
  if (attribute.includes('')) {
    throw new UsageError(
      `found ${option} '${printable(text)}', expected NAME or NAME=VALUE,…; dots go inward: device.compliant`,
    );
  }
  if (at < 0) return { attribute };
  return { attribute, values: splitAtCommas(text.slice(at + 1)).map(jsonOrText) };
}

function jsonOrText(text: string): CedarJson {
  const { value } = readJson(text);
  return value === undefined || value === null ? text : (value as CedarJson);
}

/** Commas inside of quotes and brackets are part of a value. */
function splitAtCommas(text: string): readonly string[] {
  const words = text.match(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]|,|[^",[{\]}]+|"/gs) ?? [];
  const values = [''];
  let depth = 0;
  for (const word of words) {
    if (word === '[' || word === '{') depth += 1;
    if (word === ']' || word === '}') depth -= 1;
    if (word === ',' && depth <= 0) values.push('');
    else values.push(`${values.pop()}${word}`);
  }
  return values;
}
