import type { CedarRecord } from './cedar-record.ts';
import type { ObjectValue, Value } from './value.ts';

/** Cedar's `==`: deep, never an error; values of different types are not equal. */
export function equals(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  return equalObjects(left, right);
}

function equalObjects(left: ObjectValue, right: ObjectValue): boolean {
  switch (left.kind) {
    case 'entity':
      return right.kind === 'entity' && left.equals(right);
    case 'set':
      return (
        right.kind === 'set' && left.elements.length === right.elements.length && left.hasAll(right)
      );
    case 'record':
      return right.kind === 'record' && equalRecords(left, right);
    case 'decimal':
      return right.kind === 'decimal' && left.scaled === right.scaled;
    case 'datetime':
      return right.kind === 'datetime' && left.ms === right.ms;
    case 'duration':
      return right.kind === 'duration' && left.ms === right.ms;
    case 'ipaddr':
      return (
        right.kind === 'ipaddr' &&
        left.version === right.version &&
        left.bits === right.bits &&
        left.prefix === right.prefix
      );
  }
}

function equalRecords(left: CedarRecord, right: CedarRecord): boolean {
  let count = 0;
  for (const [name, value] of left.entries()) {
    const other = right.get(name);
    if (other === undefined || !equals(value, other)) return false;
    count += 1;
  }
  for (const slot of right.slots) if (slot !== undefined) count -= 1;
  return count === 0;
}
