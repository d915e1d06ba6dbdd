import { decodeEvent, type Event } from '@countersign/model';

/** The last event of a shard: nothing follows it here, and what goes on stands elsewhere. */
export const SHARD_CLOSED = 'log-shard-closed';
/** The first event of a shard that follows another. */
export const SHARD_OPENED = 'log-shard-opened';

/** Where a log goes on. */
export interface ShardClosing {
  /** The origin of the next shard. */
  readonly next: string;
}

/** What a shard follows: the whole tree of the one before it. */
export interface ShardOpening {
  readonly previous: string;
  readonly size: number;
  /** Base64, 32 bytes. */
  readonly root: string;
}

/** What an event says of the end of its shard, if it is the one that does. */
export function closingOf(event: Event): ShardClosing | undefined {
  if (event.kind !== 'administration' || event.action !== SHARD_CLOSED) return undefined;
  const next = event.detail?.['next'];
  return typeof next === 'string' ? { next } : undefined;
}

/** What an event says of the shard before its own, if it is the one that does. */
export function openingOf(event: Event): ShardOpening | undefined {
  if (event.kind !== 'administration' || event.action !== SHARD_OPENED) return undefined;
  const { previous, size, root } = event.detail ?? {};
  if (typeof previous !== 'string' || typeof size !== 'number' || typeof root !== 'string') {
    return undefined;
  }
  return { previous, size, root };
}

/** The event in an entry; nothing when it is none. */
export function eventIn(entry: Uint8Array | undefined): Event | undefined {
  try {
    return entry && decodeEvent(entry);
  } catch {
    return undefined;
  }
}

/** What the last entry of a shard says of its end. */
export function endOfShard(last: Uint8Array | undefined): {
  readonly isClosed: boolean;
  /** When it was written; absent when it is no event. */
  readonly lastAtMs?: number;
} {
  const event = eventIn(last);
  if (event === undefined) return { isClosed: false };
  return { isClosed: closingOf(event) !== undefined, lastAtMs: event.at };
}
