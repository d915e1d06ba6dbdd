import { decodeEvent, type Event, ModelError } from '@countersign/model';
import type { Database } from '@countersign/state';
import { securityEventsOf } from './events-of-record.ts';
import type { SecurityEvent } from './security-event-token.ts';
import type { SignalTables } from './signal-tables.ts';
import type { Stream } from './stream.ts';
import { QUEUE_MAX, type Streams } from './streams.ts';

/** One shard of a log that signals come from: the authority's own, or that of an issuer beside it. */
export interface SignalLog {
  readonly origin: string;
  /** Entries that are durable. */
  readonly size: number;
  read(
    index: number,
    bounds: { readonly count: number; readonly bytesMax: number },
  ): Promise<{ readonly entries: readonly Uint8Array[] }>;
}

/** Where signals come from: the log is their outbox, so that what is in the record is told, and nothing else is. */
export interface SignalSource {
  /** Of each log oldest first. */
  shards(): readonly SignalLog[] | Promise<readonly SignalLog[]>;
  onCommit(listener: () => void): () => void;
}

/** What became of looking through the log. */
export interface PumpTrouble {
  readonly sinceMs: number;
  readonly detail: string;
}

const ENTRIES_AT_ONCE = 500;
const BYTES_AT_ONCE = 1024 * 1024;
const AGAIN_MS = 1000;
const WAITING_COUNTED_EVERY = 1000;

/** What the pump works with. */
export interface SignalPumpOptions {
  readonly database: Database;
  readonly source: SignalSource;
  readonly streams: Streams;
  readonly issuer: string;
  /** The event by the names of its persons; nothing when they were destroyed. */
  readonly reveal: (event: Event) => Event | undefined;
  readonly now: () => number;
  readonly onOverflow: (stream: Stream) => void;
  /** Whether the bank still has this receiver. */
  readonly isReceiver: (stream: Stream) => boolean;
}

/**
 * Follows these logs and queues what each stream is to have. How far it is, is kept in the same transaction as what it
 * queued: nothing is left out or queued twice, whenever it ends.
 */
export class SignalPump {
  readonly #options: SignalPumpOptions;
  #working: Promise<void> | undefined;
  #isAgain = false;
  #isClosed = false;
  #queuedSinceCount = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #unsubscribe: () => void;
  trouble: PumpTrouble | undefined;

  constructor(options: SignalPumpOptions) {
    this.#options = options;
    this.#unsubscribe = options.source.onCommit(() => this.wake());
  }

  wake(): void {
    if (this.#isClosed) return;
    this.#isAgain = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#working;
  }

  async #work(): Promise<void> {
    try {
      while (this.#isAgain && !this.#isClosed) {
        this.#isAgain = false;
        for (const shard of await this.#options.source.shards()) await this.#follow(shard);
      }
      this.trouble = undefined;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.trouble = { sinceMs: this.trouble?.sinceMs ?? this.#options.now(), detail };
      this.#timer = setTimeout(() => this.wake(), AGAIN_MS);
      this.#timer.unref();
    }
  }

  async #follow(shard: SignalLog): Promise<void> {
    const { database, streams } = this.#options;
    const row = await database
      .tables<SignalTables>()
      .selectFrom('signal_cursor')
      .select('next')
      .where('origin', '=', shard.origin)
      .executeTakeFirst();
    // Nobody is told of what was before there was a stream, or this room.
    let next = row?.next ?? (streams.all().length === 0 ? shard.size : 0);
    if (row === undefined) await this.#queue(shard.origin, next, []);
    while (next < shard.size && !this.#isClosed) {
      if (streams.all().length === 0) {
        next = shard.size;
        await this.#queue(shard.origin, next, []);
        return;
      }
      const bounds = { count: ENTRIES_AT_ONCE, bytesMax: BYTES_AT_ONCE };
      const { entries } = await shard.read(next, bounds);
      if (entries.length === 0) return;
      next += entries.length;
      await this.#queue(
        shard.origin,
        next,
        entries.flatMap((bytes) => this.#read(bytes)),
      );
    }
  }

  #read(bytes: Uint8Array): SecurityEvent[] {
    let event: Event;
    try {
      event = decodeEvent(bytes);
    } catch (error) {
      if (error instanceof ModelError) return [];
      throw error;
    }
    const named = this.#options.reveal(event);
    return named ? securityEventsOf(named, this.#options) : [];
  }

  async #queue(origin: string, next: number, events: readonly SecurityEvent[]): Promise<void> {
    const { database, streams, isReceiver } = this.#options;
    const all = streams.all().filter((stream) => isReceiver(stream));
    const toQueue = events.flatMap((event) =>
      all.filter((stream) => streams.takes(stream, event)).map((stream) => ({ stream, event })),
    );
    const touched = await database.transaction(async (transaction) => {
      await transaction
        .tables<SignalTables>()
        .insertInto('signal_cursor')
        .values({ origin, next })
        .onConflict((conflict) => conflict.column('origin').doUpdateSet({ next }))
        .execute();
      return streams.queue(transaction, toQueue);
    });
    streams.told(touched);
    this.#queuedSinceCount += toQueue.length;
    if (this.#queuedSinceCount >= WAITING_COUNTED_EVERY) await this.#endOverflowing();
  }

  /** A receiver that is gone for good must not fill the disk. */
  async #endOverflowing(): Promise<void> {
    this.#queuedSinceCount = 0;
    const { streams, onOverflow } = this.#options;
    for (const [id, { count }] of await streams.queues()) {
      const stream = streams.get(id);
      if (!stream || count <= QUEUE_MAX || stream.status === 'disabled') continue;
      const reason = `more than ${QUEUE_MAX} events waited`;
      onOverflow(await streams.setStatus(stream, { status: 'disabled', reason }));
    }
  }
}
