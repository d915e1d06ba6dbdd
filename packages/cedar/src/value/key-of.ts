import type { Value } from './value.ts';

/** A text that two values share exactly when they are equal: type-tagged, lengths before free text. */
export function keyOf(value: Value): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 't' : 'f';
    case 'string':
      return `s${value.length}:${value}`;
    case 'number':
    case 'bigint':
      return `l${value};`;
    default:
      break;
  }
  switch (value.kind) {
    case 'entity':
      return `e${value.key.length}:${value.key}`;
    case 'set':
      return value.key;
    case 'record':
      return `{${[...value.entries()]
        .map(([name, each]) => `${name.length}:${name}${keyOf(each)}`)
        .sort()
        .join('')}}`;
    case 'decimal':
      return `d${value.scaled};`;
    case 'datetime':
      return `i${value.ms};`;
    case 'duration':
      return `u${value.ms};`;
    case 'ipaddr':
      return `a${value.version}.${value.bits}/${value.prefix};`;
  }
}
