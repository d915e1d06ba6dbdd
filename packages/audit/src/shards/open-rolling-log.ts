import {
  LedgerError,
  type Log,
  type LogDisk,
  type LogEntries,
  openLog,
  removedCheckpoint,
} from '@countersign/ledger';
import { EVENT_VERSION, EVIDENCE_CLASS, encodeEvent } from '@countersign/model';
import { periodBounds, periodOf } from './period.ts';
import type { OpenShard, RollingLog, RollingLogOptions } from './rolling-log.ts';
import { closingOf, eventIn, SHARD_CLOSED, SHARD_OPENED } from './shard-events.ts';
import { compareShards, parseShardName, shardName } from './shard-name.ts';

const LOOK_EVERY_MS = 1000;

/**
 * Opens a log in shards for its one writer. A log that is not in shards is the first one.
 *
 * At a turn the next shard is opened first, while appends go on. Then, in one go, the old one gets its last event,
 * which names the next, and the next its first, which names the old one's origin, size and root; from there appends go to the next. Nothing
 * of it reaches the disk before all of the old one is durable: an append at the turn waits for one commit more. A process that ends in between
 * finds the turn not begun, or makes the rest of it when it opens again.
 *
 * A shard is never younger than the newest: after a clock that was ahead is set back, its shard is gone on with until its period has come.
 *
 * @throws {LedgerError} as `openLog`, for the newest shard; an older one that cannot be opened is told to `onTrouble`
 */
export async function openRollingLog(options: RollingLogOptions): Promise<RollingLog> {
  const names = [undefined, ...(await options.storage.periods())]
    .map((period) => shardName(options.origin, period))
    .sort(compareShards);
  const opened: Log[] = [];
  try {
    let newest: Shard | undefined;
    while (newest === undefined) {
      const origin = names.pop() ?? options.origin;
      if (await isRemoved(options, origin)) {
        if (names.length > 0) continue;
        const found = `could not open log: found the entries of all shards of '${options.origin}' removed`;
        throw new LedgerError('ERR_LEDGER_REMOVED', found);
      }
      const shard = await openShard(options, origin);
      opened.push(shard.log);
      // A turn that never came to its two events leaves an empty shard.
      if (shard.log.size > 0 || names.length === 0) newest = shard;
      else await shard.log.close();
    }
    const { log } = newest;
    const closing = log.size > 0 ? await lastEvent(log) : undefined;
    const next = closing && closingOf(closing)?.next;
    const older: OpenShard[] = [];
    for (const origin of names) {
      const shard = await openOlder(options, origin);
      if (shard) opened.push(shard.log);
      if (shard) older.push(shard);
    }
    if (next === undefined) return new ShardedLog(options, older, newest);
    // The turn was cut after the old shard's last event.
    const following = await openShard(options, next);
    opened.push(following.log);
    appendOpening(options, { from: log, to: following.log });
    await following.log.durable(0);
    return new ShardedLog(options, [...older, { ...newest, isClosed: true }], following);
  } catch (error) {
    for (const log of opened) await log.close().catch(() => undefined);
    throw error;
  }
}

/** A shard and what holds its first frame back until the shard before it is durable. */
interface Shard extends OpenShard {
  hold(until: Promise<void>): void;
}

class ShardedLog implements RollingLog {
  readonly droppedBytes: number;
  readonly #options: RollingLogOptions;
  readonly #older: OpenShard[];
  #current: OpenShard;
  /** The shard before, while not all of it is durable; its entries have indices of their own. */
  #before: Log | undefined;
  /** Entries of the largest shard that was closed here: an index below is durable when no shard waits. */
  #closedSize = 0;
  /** When the first shard was begun. */
  #beganAtMs: number | undefined;
  #turning: Promise<void> | undefined;
  #isTroubleTold = false;
  #closing: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #commitListeners = new Set<(size: number) => void>();
  readonly #turnListeners = new Set<() => void>();
  #unsubscribe: () => void;

  constructor(options: RollingLogOptions, older: readonly OpenShard[], current: OpenShard) {
    this.#options = options;
    this.#older = [...older];
    this.#current = current;
    this.droppedBytes = current.log.droppedBytes;
    this.#unsubscribe = this.#follow(current.log);
    this.#timer = setInterval(() => void this.look(), options.lookEveryMs ?? LOOK_EVERY_MS);
    this.#timer.unref();
  }

  get origin(): string {
    return this.#current.log.origin;
  }

  get nextIndex(): number {
    return this.#current.log.nextIndex;
  }

  get size(): number {
    return this.#current.log.size;
  }

  get queuedBytes(): number {
    return this.#current.log.queuedBytes + (this.#before?.queuedBytes ?? 0);
  }

  append(entry: Uint8Array): number {
    return this.#current.log.append(entry);
  }

  async durable(index: number): Promise<void> {
    const [before, { log }] = [this.#before, this.#current];
    const waits: Promise<void>[] = [];
    if (before && index < before.nextIndex) waits.push(before.durable(index));
    const isOlder = index >= log.nextIndex && (waits.length > 0 || index < this.#closedSize);
    if (!isOlder) waits.push(log.durable(index));
    await Promise.all(waits);
  }

  appendedRoot(): Uint8Array {
    return this.#current.log.appendedRoot();
  }

  checkpoint(): string {
    return this.#current.log.checkpoint();
  }

  read(index: number, bounds: { count: number; bytesMax: number }): Promise<LogEntries> {
    return this.#current.log.read(index, bounds);
  }

  onCommit(listener: (size: number) => void): () => void {
    const own = (size: number) => listener(size);
    this.#commitListeners.add(own);
    return () => void this.#commitListeners.delete(own);
  }

  shards(): readonly OpenShard[] {
    return [...this.#older, this.#current];
  }

  onTurn(listener: () => void): () => void {
    const own = () => listener();
    this.#turnListeners.add(own);
    return () => void this.#turnListeners.delete(own);
  }

  async release(origin: string): Promise<void> {
    const at = this.#older.findIndex((shard) => shard.origin === origin);
    const [shard] = at < 0 ? [] : this.#older.splice(at, 1);
    await shard?.log.close();
  }

  look(): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve();
    this.#turning ??= this.#turnIfDue()
      .then(() => {
        this.#isTroubleTold = false;
      })
      .catch((error: unknown) => {
        if (this.#isTroubleTold) return;
        this.#isTroubleTold = true;
        const { message } = error instanceof Error ? error : { message: String(error) };
        this.#options.onTrouble(`could not begin the next shard of '${this.origin}': ${message}`);
      })
      .finally(() => {
        this.#turning = undefined;
      });
    return this.#turning;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #turnIfDue(): Promise<void> {
    const { origin, length, now } = this.#options;
    const period = periodOf(now(), length());
    const startMs = periodBounds(period)?.startMs ?? 0;
    if (startMs <= (await this.#currentStartMs())) return;
    const next = await openShard(this.#options, shardName(origin, period));
    if (next.log.size > 0) {
      await next.log.close();
      throw new Error(`found ${next.log.size} entries in '${next.origin}', expected a new shard`);
    }
    try {
      this.#turn(next);
    } catch (error) {
      await next.log.close().catch(() => undefined);
      throw error;
    }
    const before = this.#before;
    await before?.durable(before.nextIndex - 1);
    this.#closedSize = Math.max(this.#closedSize, before?.nextIndex ?? 0);
    this.#before = undefined;
    for (const listener of this.#turnListeners) listener();
  }

  /** INVARIANT: all of this happens at once: an event that names a shard and its place there is appended to that shard. */
  #turn(next: Shard): void {
    const old = this.#current.log;
    const closing = { action: SHARD_CLOSED, detail: { next: next.origin } };
    appendShardEvent(this.#options, old, closing);
    next.hold(old.durable(old.nextIndex - 1));
    appendOpening(this.#options, { from: old, to: next.log });
    this.#older.push({ ...this.#current, isClosed: true });
    this.#before = old;
    this.#current = next;
    this.#unsubscribe();
    this.#unsubscribe = this.#follow(next.log);
  }

  async #currentStartMs(): Promise<number> {
    const { origin, log } = this.#current;
    const { length, now } = this.#options;
    const named = parseShardName(origin)?.period;
    if (named !== undefined) return periodBounds(named)?.startMs ?? 0;
    if (log.nextIndex === 0) return periodBounds(periodOf(now(), length()))?.startMs ?? 0;
    if (this.#beganAtMs === undefined) {
      // Appended and on its way to the disk: it tells when the shard was begun as soon as it can be read.
      await log.durable(0);
      const { entries } = await log.read(0, { count: 1, bytesMax: 1 });
      this.#beganAtMs = eventIn(entries[0])?.at ?? now();
    }
    return periodBounds(periodOf(this.#beganAtMs, length()))?.startMs ?? 0;
  }

  #follow(log: Log): () => void {
    return log.onCommit((size) => {
      for (const listener of this.#commitListeners) listener(size);
    });
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turning;
    this.#unsubscribe();
    const closed = await Promise.allSettled(this.shards().map(({ log }) => log.close()));
    const failed = closed.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

async function openShard(options: RollingLogOptions, origin: string): Promise<Shard> {
  const { signer, storage, now } = options;
  let held: Promise<void> = Promise.resolve();
  const disk = heldBack(storage.disk(parseShardName(origin)?.period), () => held);
  const log = await openLog({ origin, signer: signer(origin), disk, now });
  return {
    ...{ origin, log, isClosed: false },
    hold(until) {
      held = until;
      // It is told by the log whose write it stops.
      held.catch(() => undefined);
    },
  };
}

/** A disk on which nothing is written before `until`. */
function heldBack(disk: LogDisk, until: () => Promise<void>): LogDisk {
  return {
    lock: () => disk.lock(),
    list: () => disk.list(),
    read: (name) => disk.read(name),
    readAt: (name, offset, length) => disk.readAt(name, offset, length),
    replace: (name, bytes) => disk.replace(name, bytes),
    sync: (name) => disk.sync(name),
    truncate: (name, size) => disk.truncate(name, size),
    async openAppend(name) {
      const file = await disk.openAppend(name);
      return {
        async write(bytes) {
          await until();
          await file.write(bytes);
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  };
}

/** A shard before the newest; nothing where it holds nothing any more, or cannot be opened. */
async function openOlder(
  options: RollingLogOptions,
  origin: string,
): Promise<OpenShard | undefined> {
  try {
    const disk = options.storage.disk(parseShardName(origin)?.period);
    // Whatever is not there is not made.
    if ((await disk.list()).length === 0 || (await isRemoved(options, origin))) return undefined;
    const { log } = await openShard(options, origin);
    if (log.size > 0) return { origin, log, isClosed: true };
    await log.close();
  } catch (error) {
    // An old shard that is damaged must not keep what goes on from being recorded.
    options.onTrouble(`could not open the shard '${origin}': ${(error as Error).message}`);
  }
  return undefined;
}

async function isRemoved({ storage }: RollingLogOptions, origin: string): Promise<boolean> {
  return (await removedCheckpoint(storage.disk(parseShardName(origin)?.period))) !== undefined;
}

async function lastEvent(log: Log) {
  const { entries } = await log.read(log.size - 1, { count: 1, bytesMax: 1 });
  return eventIn(entries[0]);
}

function appendOpening(options: RollingLogOptions, { from, to }: { from: Log; to: Log }): void {
  const root = Buffer.from(from.appendedRoot()).toString('base64');
  const detail = { previous: from.origin, size: from.nextIndex, root };
  appendShardEvent(options, to, { action: SHARD_OPENED, detail });
}

function appendShardEvent(
  { now, newId }: RollingLogOptions,
  log: Log,
  { action, detail }: { action: string; detail: Record<string, string | number> },
): void {
  const place = { v: EVENT_VERSION, id: newId(), at: now(), origin: log.origin } as const;
  const kind = { kind: 'administration', by: 'system', retention: EVIDENCE_CLASS } as const;
  const event = { ...place, seq: log.nextIndex, ...kind };
  log.append(encodeEvent({ ...event, action, detail }));
}
