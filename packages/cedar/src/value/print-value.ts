import { isReserved } from '../text/words.ts';
import type { CedarRecord } from './cedar-record.ts';
import type { CedarSet } from './cedar-set.ts';
import { compareText } from './compare-text.ts';
import type { EntityUid } from './entity-uid.ts';
import {
  printDatetime,
  printDecimal,
  printDuration,
  printIp,
  printOffsetCall,
} from './print-extension.ts';
import type { Value } from './value.ts';

/**
 * A value as it would be written in a policy, in one order whatever order it was made in. Texts, names and
 * numbers are printed as the official engine prints them in its messages. An extension value is printed as
 * the shortest call that makes it: the text that once made it is not kept.
 */
export function printValue(value: Value): string {
  switch (typeof value) {
    case 'boolean':
    case 'number':
    case 'bigint':
      return `${value}`;
    case 'string':
      return quoteText(value);
    default:
      break;
  }
  switch (value.kind) {
    case 'entity':
      return printUid(value);
    case 'set':
      return `[${sortedMembers(value).map(printValue).join(', ')}]`;
    case 'record':
      return printRecord(value);
    case 'decimal':
      return `decimal("${printDecimal(value)}")`;
    case 'datetime': {
      const text = printDatetime(value);
      return text === undefined ? printOffsetCall(value.ms) : `datetime("${text}")`;
    }
    case 'duration':
      return `duration("${printDuration(value)}")`;
    case 'ipaddr':
      return `ip("${printIp(value)}")`;
  }
}

/** `User::"alice"`, escaped as the official engine escapes: more than a policy would need. */
export function printUid({ type, id }: EntityUid): string {
  return `${type}::${quoteText(id)}`;
}

/** The name that messages give to the type of a value. */
export function printTypeOf(value: Value): string {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
    case 'bigint':
      return 'long';
    case 'string':
      return 'string';
    default:
      return value.kind === 'entity' ? `(entity of type \`${value.type}\`)` : value.kind;
  }
}

/** An attribute's name where one may stand bare: an identifier as it is, everything else quoted. */
export function printName(name: string): string {
  return /^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) && !isReserved(name) ? name : quoteText(name);
}

function printRecord(record: CedarRecord): string {
  const fields = [...record.entries()]
    .sort(([left], [right]) => compareText(left, right))
    .map(([name, value]) => `${printName(name)}: ${printValue(value)}`);
  return `{${fields.join(', ')}}`;
}

/**
 * What Rust's `escape_debug` leaves as it is: letters, marks, numbers, punctuation, symbols, and the plain
 * space. A mark that would combine with the opening quote is escaped as well.
 */
const ESCAPED = /["'\\\p{C}\p{Z}]/gu;
const COMBINING_START = /^\p{Grapheme_Extend}/u;
const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  [' ', ' '],
  ['"', '\\"'],
  ["'", "\\'"],
  ['\\', '\\\\'],
  ['\0', '\\0'],
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
]);

/** A text in double quotes. */
export function quoteText(text: string): string {
  const escaped = text
    .replace(ESCAPED, (character) => SHORT_ESCAPES.get(character) ?? escapeCodePoint(character))
    .replace(COMBINING_START, escapeCodePoint);
  return `"${escaped}"`;
}

function escapeCodePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Any order will do, as long as it is one; this is the official engine's. */
export function compareValues(left: Value, right: Value): number {
  const byRank = rankOf(left) - rankOf(right);
  if (byRank !== 0) return byRank;
  if (typeof left !== 'object' || typeof right !== 'object') {
    if (typeof left === 'string') return compareText(left, right as string);
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (left.kind === 'entity' && right.kind === 'entity') {
    return compareText(left.type, right.type) || compareText(left.id, right.id);
  }
  if (left.kind === 'set' && right.kind === 'set') {
    return compareLists(sortedMembers(left), sortedMembers(right));
  }
  return compareText(printValue(left), printValue(right));
}

// Sorted once each: a set in a set is compared with others at every level around it.
const sorted = new WeakMap<CedarSet, readonly Value[]>();

function sortedMembers(set: CedarSet): readonly Value[] {
  const known = sorted.get(set);
  if (known) return known;
  const members = set.elements.toSorted(compareValues);
  sorted.set(set, members);
  return members;
}

function compareLists(left: readonly Value[], right: readonly Value[]): number {
  for (const [index, each] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    const order = compareValues(each, other);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

function rankOf(value: Value): number {
  switch (typeof value) {
    case 'boolean':
      return 0;
    case 'number':
    case 'bigint':
      return 1;
    case 'string':
      return 2;
    default: {
      const index = ['entity', 'set', 'record'].indexOf(value.kind);
      return index < 0 ? 6 : index + 3;
    }
  }
}
