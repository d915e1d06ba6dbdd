import type { ShardClosing, ShardOpening } from './shard-events.ts';
import { compareShards, parseShardName } from './shard-name.ts';

/** What a verified shard says of itself and of the others. */
export interface ShardEnds {
  readonly origin: string;
  readonly size: number;
  /** Of all its entries, 32 bytes. */
  readonly root: Uint8Array;
  /** What its first event says, if it is the one that follows a turn. */
  readonly opening?: ShardOpening;
  /** What its last event says, if it is the one before a turn. */
  readonly closing?: ShardClosing;
  /** What its events said is not known any more. */
  readonly isRemoved?: boolean;
}

/** A break in the chain of a log's shards. */
export interface ShardChainProblem {
  readonly code: /** The shard before one is not there. */
    | 'shard-missing'
    /** The shard after one is not there; of a copy, it may be on its way. */
    | 'shard-unreached'
    /** A shard is another than the one that the next one follows. */
    | 'shard-other'
    /** A shard has fewer entries than the next one says; of a copy, it may be on its way. */
    | 'shard-short'
    /** A shard that is not the first does not say which it follows. */
    | 'shard-unchained';
  /** Of the shard at fault. */
  readonly origin: string;
  readonly detail: string;
}

/**
 * Whether shards of one log follow each other without a break: each names the whole tree of the one before it, and
 * where it goes on. So a shard that was dropped whole, in the middle or at the end, is missed.
 *
 * @param shards all that there are of one log, in any order; those without entries say nothing
 */
export function verifyShardChain(shards: readonly ShardEnds[]): readonly ShardChainProblem[] {
  const problems: ShardChainProblem[] = [];
  const byOrigin = new Map(
    shards.filter(({ size }) => size > 0).map((each) => [each.origin, each]),
  );
  const missing = new Map<string, ShardChainProblem>();
  for (const shard of [...byOrigin.values()].sort((a, b) => compareShards(a.origin, b.origin))) {
    const { origin, opening, closing, isRemoved } = shard;
    if (isRemoved) continue;
    if (opening) {
      const previous = byOrigin.get(opening.previous);
      if (previous) problems.push(...compare(previous, opening, origin));
      else {
        const detail = `found no such log, expected the ${opening.size} entries that '${origin}' follows`;
        missing.set(opening.previous, { code: 'shard-missing', origin: opening.previous, detail });
      }
    } else if (parseShardName(origin)?.period !== undefined) {
      const detail = 'found no first event that says which shard it follows';
      problems.push({ code: 'shard-unchained', origin, detail });
    }
    if (closing && !byOrigin.has(closing.next) && !missing.has(closing.next)) {
      const detail = `found no such log, expected the shard that '${origin}' goes on in`;
      missing.set(closing.next, { code: 'shard-unreached', origin: closing.next, detail });
    }
  }
  return [...problems, ...missing.values()];
}

function compare(
  { origin, size, root }: ShardEnds,
  opening: ShardOpening,
  next: string,
): readonly ShardChainProblem[] {
  if (size < opening.size) {
    const detail = `found ${size} entries, expected the ${opening.size} that '${next}' follows`;
    return [{ code: 'shard-short', origin, detail }];
  }
  const isSame = size === opening.size && Buffer.from(root).toString('base64') === opening.root;
  if (isSame) return [];
  const detail = `found another tree of ${size} entries than the one of ${opening.size} that '${next}' follows`;
  return [{ code: 'shard-other', origin, detail }];
}
