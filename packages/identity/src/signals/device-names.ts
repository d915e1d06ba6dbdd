import type { SimpleSubject, SubjectIdentifier } from './subject-identifier.ts';

/**
 * By what an identifier names a device; nothing where it names a person. In a complex subject that is its `device`; a simple one
 * is looked up as what it says, since device managers send opaque ids of their own.
 */
export function deviceNames(identifier: SubjectIdentifier): readonly string[] {
  switch (identifier.format) {
    case 'complex':
      return identifier.device ? ofSimple(identifier.device) : [];
    case 'aliases':
      return identifier.identifiers.flatMap(ofSimple);
    default:
      return ofSimple(identifier);
  }
}

function ofSimple(identifier: SimpleSubject): readonly string[] {
  switch (identifier.format) {
    case 'opaque':
      return [identifier.id];
    case 'iss_sub':
      return [identifier.sub];
    case 'uri':
      return [identifier.uri];
    default:
      return [];
  }
}
