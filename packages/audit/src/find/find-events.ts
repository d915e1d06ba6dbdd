import { BitSet } from './block/bit-set.ts';
import { CHUNK_EVENTS } from './block/chunk.ts';
import type { BlockView, OpenBlock } from './block/open-block.ts';
import { FIELDS, type Field } from './event-terms.ts';
import type { LogIndex } from './log-index.ts';
import type { Partition } from './partition.ts';
import type { Condition, Question } from './question.ts';

/** Which events of one block the index says are asked for; at least one. */
export interface BlockMatches {
  readonly block: BlockView;
  readonly offsets: BitSet;
  readonly count: number;
}

/**
 * Asks the index of one log. Synchronous: what it tells is of one moment.
 *
 * @param options `size` is how many of the log's events are looked at
 * @throws {PartitionUnusable}
 */
export function findEvents(
  log: LogIndex,
  question: Question,
  { size }: { readonly size: number },
): readonly BlockMatches[] {
  const found: BlockMatches[] = [];
  const where = question.where.toSorted((a, b) => rank(a) - rank(b));
  for (const { partition, blocks } of log.blocks()) {
    const inTime = blocks.filter((block) => touches(block, question) && block.firstIndex < size);
    if (inTime.length === 0) continue;
    const sets = partition
      ? inPartition(partition, { where, blocks: inTime })
      : inOpenBlock(log.openBlock, { where, blocks: inTime });
    for (const [block, offsets] of sets) {
      offsets.intersect(BitSet.first(Math.min(block.count, size - block.firstIndex)));
      keepInTime(block, offsets, question);
      const { count } = offsets;
      if (count > 0) found.push({ block, offsets, count });
    }
  }
  return found;
}

/** Whether any event of the log, as far as it is indexed, has one of the values in one of the fields. */
export function isKnown(log: LogIndex, condition: Condition): boolean {
  for (const { partition, blocks } of log.blocks()) {
    const sets = partition
      ? inPartition(partition, { where: [condition], blocks })
      : inOpenBlock(log.openBlock, { where: [condition], blocks });
    if (sets.size > 0) return true;
  }
  return false;
}

/** Names that a field has anywhere in the log, at most `max`. */
export function knownNames(log: LogIndex, field: Field, into: Set<string>, max: number): void {
  for (const { partition } of log.blocks()) {
    for (const name of partition?.names(field) ?? log.openBlock?.names(field) ?? []) {
      if (into.size >= max) return;
      into.add(name);
    }
  }
}

type Sets = Map<BlockView, BitSet>;
interface Asked {
  readonly where: readonly Condition[];
  readonly blocks: readonly BlockView[];
}

function inPartition(partition: Partition, { where, blocks }: Asked): Sets {
  const ids = new Map(blocks.map((block) => [partition.blocks.indexOf(block), block]));
  if (where.length === 0) return everything(blocks);
  let sets: Map<number, BitSet> | undefined;
  for (const condition of where) {
    const only: ReadonlySet<number> = new Set(sets?.keys() ?? ids.keys());
    if (only.size === 0) break;
    const types = () => partition.names('resourceType');
    const united = new Map<number, BitSet>();
    for (const [field, value] of postedTerms(condition, types)) {
      for (const [id, set] of partition.postings(field, value, only)) {
        const before = united.get(id);
        if (before) before.unite(set);
        else united.set(id, set);
      }
    }
    if (sets === undefined) sets = united;
    else {
      for (const [id, set] of sets) {
        const other = united.get(id);
        if (other) set.intersect(other);
        else sets.delete(id);
      }
    }
  }
  const found: Sets = new Map();
  for (const [id, set] of sets ?? []) {
    const block = ids.get(id);
    if (block) found.set(block, set);
  }
  return found;
}

function inOpenBlock(open: OpenBlock | undefined, { where, blocks }: Asked): Sets {
  if (open === undefined) return new Map();
  if (where.length === 0) return everything(blocks);
  let set: BitSet | undefined;
  for (const condition of where) {
    const united = new BitSet();
    for (const [field, value] of postedTerms(condition, () => open.names('resourceType'))) {
      const postings = open.postings(field, value);
      if (postings) united.unite(postings);
    }
    if (set) set.intersect(united);
    else set = united;
  }
  return set === undefined || set.count === 0 ? new Map() : new Map([[open as BlockView, set]]);
}

function everything(blocks: readonly BlockView[]): Sets {
  return new Map(blocks.map((block) => [block, BitSet.first(block.count)]));
}

/** What a condition is looked up by: an id alone is one of a resource of each type that there is. */
function* postedTerms(
  { fields, values }: Condition,
  resourceTypes: () => Iterable<string>,
): Generator<[Field, string], void, undefined> {
  for (const field of fields) {
    for (const value of values) {
      if (field !== 'resourceId') yield [field, value];
      else for (const type of resourceTypes()) yield ['resource', `${type}::${value}`];
    }
  }
}

/** Rare values first: they leave few blocks in which the others must be looked up. */
function rank({ fields }: Condition): number {
  if (fields.every((field) => !FIELDS[field].hasNames)) return 0;
  return fields.some((field) => field === 'subject' || field === 'actor') ? 1 : 2;
}

function touches(block: BlockView, { fromMs, toMs }: Question): boolean {
  return block.maxAt >= (fromMs ?? 0) && block.minAt < (toMs ?? Number.POSITIVE_INFINITY);
}

function keepInTime(block: BlockView, offsets: BitSet, question: Question): void {
  const { fromMs = 0, toMs = Number.POSITIVE_INFINITY } = question;
  if (block.minAt >= fromMs && block.maxAt < toMs) return;
  const moments = momentsOf(block);
  for (const offset of offsets.offsets()) {
    const at = moments(offset);
    if (at < fromMs || at >= toMs) offsets.delete(offset);
  }
}

/** The moment of an event by its offset; each chunk is decoded once. */
export function momentsOf(block: BlockView): (offset: number) => number {
  let chunk = -1;
  let moments = new Float64Array();
  return (offset) => {
    const at = Math.floor(offset / CHUNK_EVENTS);
    if (at !== chunk) {
      chunk = at;
      moments = block.moments(at) as Float64Array<ArrayBuffer>;
    }
    return moments[offset % CHUNK_EVENTS] ?? 0;
  };
}
