import { printDatetime, printDecimal, printDuration, printIp } from '../value/print-extension.ts';
import type { ObjectValue, Value } from '../value/value.ts';

/**
 * A value as it is shown: Cedar's JSON form, cut short where it is large. `{"__long": "…"}` is an integer that
 * no JSON number holds; `{"__more": n}` stands for n members or characters, or for a whole value, left out.
 */
export type SeenValue =
  | boolean
  | string
  | number
  | readonly SeenValue[]
  | { readonly [name: string]: SeenValue };

export const SEEN_LIMITS = {
  /** Levels of sets and records that are shown. */
  depth: 4,
  /** Members of one set or record that are shown. */
  members: 20,
  /** UTF-16 units of one text that are shown. */
  textLength: 1000,
} as const;

export function seenValue(value: Value, depth = 0): SeenValue {
  switch (typeof value) {
    case 'boolean':
    case 'number':
      return value;
    case 'bigint':
      return { __long: `${value}` };
    case 'string':
      return seenText(value);
    default:
      return seenObject(value, depth);
  }
}

function seenText(text: string): SeenValue {
  const more = text.length - SEEN_LIMITS.textLength;
  return more > 0 ? [text.slice(0, SEEN_LIMITS.textLength).toWellFormed(), { __more: more }] : text;
}

function seenObject(value: ObjectValue, depth: number): SeenValue {
  switch (value.kind) {
    case 'entity':
      return { __entity: { type: value.type, id: value.id } };
    case 'set':
    case 'record':
      return seenMembers(value, depth);
    case 'decimal':
      return call('decimal', printDecimal(value));
    case 'datetime':
      return call('datetime', printDatetime(value) ?? `${value.ms}ms since 1970-01-01`);
    case 'duration':
      return call('duration', printDuration(value));
    case 'ipaddr':
      return call('ip', printIp(value));
  }
}

function seenMembers(value: Extract<ObjectValue, { kind: 'set' | 'record' }>, depth: number) {
  const { members } = SEEN_LIMITS;
  if (value.kind === 'set') {
    const { elements } = value;
    if (depth === SEEN_LIMITS.depth) return [{ __more: elements.length }];
    const shown: SeenValue[] = elements.slice(0, members).map((each) => seenValue(each, depth + 1));
    return elements.length > members ? [...shown, { __more: elements.length - members }] : shown;
  }
  const entries = [...value.entries()];
  if (depth === SEEN_LIMITS.depth) return { __more: entries.length };
  const shown = entries
    .slice(0, members)
    .map(([name, each]): [string, SeenValue] => [name, seenValue(each, depth + 1)]);
  // `fromEntries` defines: an attribute called `__proto__` is one like any other.
  return Object.fromEntries([
    ...shown,
    ...(entries.length > members ? [['__more', entries.length - members] as const] : []),
  ]);
}

function call(fn: string, arg: string): SeenValue {
  return { __extn: { fn, arg } };
}
