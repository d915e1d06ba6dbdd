import type { PolicySet } from '../authorize/policy-set.ts';
import { createJsonParser, type JsonParser } from '../json/create-json-parser.ts';

const parsers = new WeakMap<PolicySet, JsonParser>();

/** Reads data as a set's schema says; made once per set. */
export function parserOf(set: PolicySet): JsonParser {
  const found = parsers.get(set);
  if (found) return found;
  const parser = createJsonParser(set.schema);
  parsers.set(set, parser);
  return parser;
}
