import { logOfShard } from '../shards/shard-name.ts';

/** Which events a hold is on; what is absent limits nothing. */
export interface HoldScope {
  /** A class of retention. */
  readonly class?: string;
  /** A log, of which all shards, or one shard. */
  readonly log?: string;
  /** Not before this moment: ms since the epoch. */
  readonly fromMs?: number;
  /** Before this moment. */
  readonly toMs?: number;
  /**
   * Whom it is about: a person by name or pseudonym is not erased (`holdOnPersons`). It is looked up in no event: a
   * hold on a subject keeps every shard, and keys, that the rest of its scope covers.
   */
  readonly subject?: string;
}

/** What must not be removed, whatever its time. */
export interface LegalHold {
  /** `hold-1`, `hold-2`. */
  readonly id: string;
  readonly reason: string;
  /** Who put it. */
  readonly by: string;
  readonly sinceMs: number;
  readonly scope: HoldScope;
}

/** What is known of a shard that a hold may be on. */
export interface HeldShard {
  readonly name: string;
  /** The times of its events; absent where that is not known. */
  readonly fromMs?: number;
  readonly toMs?: number;
  /** The classes that occur in it; absent where that is not known. */
  readonly classes?: ReadonlySet<string>;
}

/** Whether a hold is on a shard; of what is not known the worst is taken. */
export function holdCovers({ scope }: LegalHold, shard: HeldShard): boolean {
  if (scope.log !== undefined && scope.log !== shard.name) {
    if (scope.log !== logOfShard(shard.name)) return false;
  }
  if (scope.class !== undefined && shard.classes && !shard.classes.has(scope.class)) return false;
  if (scope.fromMs !== undefined && shard.toMs !== undefined && shard.toMs < scope.fromMs) {
    return false;
  }
  return !(scope.toMs !== undefined && shard.fromMs !== undefined && shard.fromMs >= scope.toMs);
}
