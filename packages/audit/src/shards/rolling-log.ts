import type { Log, NoteSigner } from '@countersign/ledger';
import type { ShardLength } from './period.ts';
import type { ShardStorage } from './shard-storage.ts';

/** What a log in shards is made of. */
export interface RollingLogOptions {
  /** The origin of the first shard; the others have `@<period>` behind it. */
  readonly origin: string;
  /** The log's one key, signing under a shard's origin. */
  readonly signer: (origin: string) => NoteSigner;
  readonly storage: ShardStorage;
  /** How long a shard is; asked each time, so that a new configuration holds from the next look on. */
  readonly length: () => ShardLength;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Names the two events of a turn: 1 to 64 characters. */
  readonly newId: () => string;
  /** A turn that could not be made (it is tried again), or an older shard that cannot be read. */
  readonly onTrouble: (detail: string) => void;
  /** How often the clock is looked at. Default 1 s. */
  readonly lookEveryMs?: number;
}

/** A shard that is open here. */
export interface OpenShard {
  readonly origin: string;
  readonly log: Log;
  /** Nothing is appended to it any more. */
  readonly isClosed: boolean;
}

/**
 * One log in shards, a Merkle log each, one for each period: what is appended goes to the newest. `origin`, `nextIndex`, `size`,
 * `checkpoint` and `read` are the newest shard's; so who writes an event's `origin` and `seq` into it asks for both and
 * appends in one go, without waiting in between.
 *
 * `durable` of an index that both the newest shard and the one before it have waits for both.
 */
export interface RollingLog extends Log {
  /** All that are open here, the oldest first. */
  shards(): readonly OpenShard[];
  /** Told after each turn; returns its unsubscribe. */
  onTurn(listener: () => void): () => void;
  /** Looks at the clock now; resolves when a turn that was due is made, or failed and was told. */
  look(): Promise<void>;
  /** Closes a shard that is complete elsewhere, so that its files can be removed; not the newest. */
  release(origin: string): Promise<void>;
}
