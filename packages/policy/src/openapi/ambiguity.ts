import type { Report } from '../document/report.ts';
import type { SourceDocument } from '../document/source-document.ts';
import type { PathSegment } from './path-template.ts';
import type { FoundOperation } from './read-api-description.ts';

/**
 * Reports pairs of operations of one method that could both be meant by one path.
 *
 * OAS 3.1 §4.8.8.2 lets literal segments win over parameters, which settles `/pets/mine` against
 * `/pets/{id}`, and leaves `/{kind}/mine` against `/pets/{id}` to the tool. Two tools that read it
 * differently are a hole, so it is refused here. A parameter's schema (an enum, an integer) settles it
 * where it leaves out the literal on which the two first differ: a reader from left to right, literals
 * first, then takes the one that is meant, and the resource cannot mean the other.
 */
export function reportAmbiguities(
  document: SourceDocument,
  found: readonly FoundOperation[],
  report: Report,
): void {
  const byShape = new Map<string, FoundOperation[]>();
  for (const operation of found) {
    // Only the same method and the same number of segments can meet.
    const key = `${operation.operation.method} ${operation.template.segments.length}`;
    const earlier = byShape.get(key) ?? [];
    const meetings = earlier.flatMap((other) => {
      const path = sharedPath(operation, other);
      return path === undefined ? [] : [{ path, other }];
    });
    earlier.push(operation);
    byShape.set(key, earlier);
    const [first] = meetings;
    if (!first) continue;
    // One problem for each template, however many others it meets.
    const more = meetings.length > 1 ? ` (and ${meetings.length - 1} more like it)` : '';
    report.error(document.atKey(operation.path.slice(0, -1)), {
      found: `${operation.operation.method} ${first.path} could be ${operation.template.text} or ${first.other.template.text}${more}`,
      expected: 'one operation for each path',
      mend: 'rename a segment, or give the parameter a schema (enum, integer) that leaves the literal out',
    });
  }
}

/** A path that both templates match without a rule which of them wins; nothing when there is none. */
function sharedPath(a: FoundOperation, b: FoundOperation): string | undefined {
  const winners = new Set<'a' | 'b'>();
  const path: string[] = [];
  for (const [index, left] of a.template.segments.entries()) {
    const right = b.template.segments[index];
    if (!right) return undefined;
    const meeting = meet(left, right);
    if (meeting === undefined) return undefined;
    path.push(meeting);
    if (left.kind === right.kind) continue;
    const isFirst = winners.size === 0;
    winners.add(left.kind === 'literal' ? 'a' : 'b');
    const [parameter, values] = left.kind === 'parameter' ? [left, a.values] : [right, b.values];
    const isLeftOut =
      parameter.kind === 'parameter' && values.get(parameter.name)?.(meeting) === false;
    if (isFirst && isLeftOut) return undefined;
  }
  return winners.size === 1 ? undefined : `/${path.join('/')}`;
}

/** A segment that both match. */
function meet(a: PathSegment, b: PathSegment): string | undefined {
  if (a.kind === 'literal' && b.kind === 'literal') return a.text === b.text ? a.text : undefined;
  const literal = a.kind === 'literal' ? a : b;
  // A parameter matches one character or more.
  if (literal.kind === 'literal') return literal.text === '' ? undefined : literal.text;
  return a.kind === 'parameter' ? a.name : undefined;
}
