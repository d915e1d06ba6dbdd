import type { Value } from '../value/value.ts';

/** A type as the official engine names it in its messages. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'number':
    case 'bigint':
      return 'long';
    default:
      return value.kind === 'entity' ? `(entity of type \`${value.type}\`)` : value.kind;
  }
}
