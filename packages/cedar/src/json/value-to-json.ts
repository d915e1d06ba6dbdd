import type { CedarJson } from '../engine.ts';
import { printDatetime, printDecimal, printDuration, printIp } from '../value/print-extension.ts';
import type { Value } from '../value/value.ts';

/**
 * A value in Cedar's JSON form, escapes written out: what a parser without a schema reads back as the same value.
 * Integers beyond 2^53 are bigints, which `JSON.stringify` does not take.
 */
export function valueToJson(value: Value): CedarJson {
  if (typeof value !== 'object') return value;
  switch (value.kind) {
    case 'entity':
      return { __entity: { type: value.type, id: value.id } };
    case 'set':
      return value.elements.map(valueToJson);
    case 'record':
      // `fromEntries` defines; assigning would lose a name `__proto__`.
      return Object.fromEntries(
        [...value.entries()].map(([name, each]) => [name, valueToJson(each)]),
      );
    case 'decimal':
      return { __extn: { fn: 'decimal', arg: printDecimal(value) } };
    case 'datetime': {
      const text = printDatetime(value);
      if (text !== undefined) return { __extn: { fn: 'datetime', arg: text } };
      const args = [
        { __extn: { fn: 'datetime', arg: '1970-01-01' } },
        { __extn: { fn: 'duration', arg: `${value.ms}ms` } },
      ];
      return { __extn: { fn: 'offset', args } };
    }
    case 'duration':
      return { __extn: { fn: 'duration', arg: printDuration(value) } };
    case 'ipaddr':
      return { __extn: { fn: 'ip', arg: printIp(value) } };
  }
}
