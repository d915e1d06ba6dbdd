import { type Clock, compactId } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import { STREAM_UPDATED, VERIFICATION } from './event-types.ts';
import type { SecurityEvent } from './security-event-token.ts';
import type { SignalTables } from './signal-tables.ts';
import { deliveredTypes, type Stream, type StreamRow, type StreamStatus } from './stream.ts';
import { isSameSubject, type SubjectIdentifier } from './subject-identifier.ts';

/** What a stream may have waiting: beyond it the receiver is taken for gone, and its stream is disabled. */
export const QUEUE_MAX = 100_000;
/** Words of a receiver on subjects, in one stream. */
const SUBJECTS_MAX = 10_000;

/** A token that waits for its receiver. */
export interface Waiting {
  readonly position: number;
  readonly event: SecurityEvent;
  readonly queuedMs: number;
}

/** The streams and what they have yet to deliver. */
export class Streams {
  readonly #database: Database;
  readonly #now: Clock;
  readonly #all = new Map<string, Stream>();
  readonly #subjects = new Map<string, { subject: SubjectIdentifier; isIncluded: boolean }[]>();
  readonly #listeners = new Set<(streamId: string) => void>();

  constructor(database: Database, now: Clock) {
    this.#database = database;
    this.#now = now;
  }

  async load(): Promise<void> {
    const tables = this.#database.tables<SignalTables>();
    for (const { id, client_id, body } of await tables
      .selectFrom('signal_stream')
      .selectAll()
      .execute()) {
      this.#all.set(id, { id, clientId: client_id, ...(JSON.parse(body) as StreamRow) });
    }
    for (const row of await tables
      .selectFrom('signal_subject')
      .selectAll()
      .orderBy('position')
      .execute()) {
      const subject = JSON.parse(row.subject) as SubjectIdentifier;
      this.#wordsOn(row.stream_id).push({ subject, isIncluded: row.is_included === 1 });
    }
  }

  all(): readonly Stream[] {
    return [...this.#all.values()];
  }

  get(id: string): Stream | undefined {
    return this.#all.get(id);
  }

  of(clientId: string): readonly Stream[] {
    return this.all().filter((stream) => stream.clientId === clientId);
  }

  /** Told when a stream has something to deliver, or may deliver again. */
  onQueued(listener: (streamId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async add(clientId: string, row: StreamRow): Promise<Stream> {
    const stream: Stream = { id: compactId(), clientId, ...row };
    const { id } = stream;
    await this.#database
      .tables<SignalTables>()
      .insertInto('signal_stream')
      .values({ id, client_id: clientId, body: JSON.stringify(row), last_position: 0 })
      .execute();
    this.#all.set(id, stream);
    return stream;
  }

  async change(stream: Stream, changes: Partial<StreamRow>): Promise<Stream> {
    const { id, clientId, ...row } = { ...stream, ...changes };
    await this.#database
      .tables<SignalTables>()
      .updateTable('signal_stream')
      .set({ body: JSON.stringify(row) })
      .where('id', '=', id)
      .execute();
    const changed = { id, clientId, ...row };
    this.#all.set(id, changed);
    this.#tell(id);
    return changed;
  }

  /** Changes what a stream does, and tells its receiver (§8.1.5); what waits in a stream that is disabled is dropped. */
  async setStatus(
    stream: Stream,
    { status, reason }: { readonly status: StreamStatus; readonly reason?: string | undefined },
  ): Promise<Stream> {
    const { reason: _, ...rest } = stream;
    const changed = await this.change(rest as Stream, {
      status,
      ...(reason !== undefined && { reason }),
    });
    const tables = this.#database.tables<SignalTables>();
    if (status === 'disabled') {
      await tables.deleteFrom('signal_outgoing').where('stream_id', '=', stream.id).execute();
    }
    await this.#queueAbout(stream, STREAM_UPDATED, {
      status,
      ...(reason !== undefined && { reason }),
    });
    return changed;
  }

  /** Asks the receiver to show that it hears (§8.1.4). */
  async verify(stream: Stream, state: string | undefined): Promise<void> {
    await this.change(stream, { verifiedMs: this.#now() });
    await this.#queueAbout(stream, VERIFICATION, { ...(state !== undefined && { state }) });
  }

  async remove(id: string): Promise<void> {
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<SignalTables>();
      await tables.deleteFrom('signal_outgoing').where('stream_id', '=', id).execute();
      await tables.deleteFrom('signal_subject').where('stream_id', '=', id).execute();
      await tables.deleteFrom('signal_stream').where('id', '=', id).execute();
    });
    this.#all.delete(id);
    this.#subjects.delete(id);
    this.#tell(id);
  }

  /** @returns false when the receiver has said too much already */
  async setSubject(id: string, subject: SubjectIdentifier, isIncluded: boolean): Promise<boolean> {
    const words = this.#wordsOn(id);
    const before = words.findIndex(
      (each) => JSON.stringify(each.subject) === JSON.stringify(subject),
    );
    if (before < 0 && words.length >= SUBJECTS_MAX) return false;
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<SignalTables>();
      const text = JSON.stringify(subject);
      await tables
        .deleteFrom('signal_subject')
        .where('stream_id', '=', id)
        .where('subject', '=', text)
        .execute();
      const last = await tables
        .selectFrom('signal_subject')
        .select(({ fn }) => fn.max('position').as('position'))
        .where('stream_id', '=', id)
        .executeTakeFirst();
      await tables
        .insertInto('signal_subject')
        .values({
          stream_id: id,
          position: (last?.position ?? 0) + 1,
          subject: text,
          is_included: isIncluded ? 1 : 0,
        })
        .execute();
    });
    if (before >= 0) words.splice(before, 1);
    words.push({ subject, isIncluded });
    return true;
  }

  /** Whether a stream is to have an event: what it asked for, about whom it did not say no. */
  takes(stream: Stream, event: SecurityEvent): boolean {
    if (stream.status === 'disabled') return false;
    if (!deliveredTypes(stream.requested).includes(event.type)) return false;
    const word = this.#wordsOn(stream.id).findLast(({ subject }) =>
      isSameSubject(subject, event.subject),
    );
    return word?.isIncluded ?? true;
  }

  /** Queues events for their streams in a transaction; gives the streams to {@link told} of when it is kept. */
  async queue(
    transaction: Transaction,
    events: readonly { readonly stream: Stream; readonly event: SecurityEvent }[],
  ): Promise<ReadonlySet<string>> {
    const tables = transaction.tables<SignalTables>();
    const touched = new Set<string>();
    for (const { stream, event } of events) {
      const row = await tables
        .updateTable('signal_stream')
        .set(({ eb }) => ({ last_position: eb('last_position', '+', 1) }))
        .where('id', '=', stream.id)
        .returning('last_position')
        .executeTakeFirst();
      // Removed meanwhile.
      if (row === undefined) continue;
      await tables
        .insertInto('signal_outgoing')
        .values({
          stream_id: stream.id,
          position: row.last_position,
          jti: event.jti,
          type: event.type,
          event: JSON.stringify(event),
          queued_ms: this.#now(),
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      touched.add(stream.id);
    }
    return touched;
  }

  /** After the transaction of {@link queue}. */
  told(streamIds: Iterable<string>): void {
    for (const id of streamIds) this.#tell(id);
  }

  /** What a stream may deliver now, the oldest first: one that is not enabled says just that (§8.1.5). */
  async waiting({ id, status }: Stream, limit: number): Promise<readonly Waiting[]> {
    let query = this.#database
      .tables<SignalTables>()
      .selectFrom('signal_outgoing')
      .select(['position', 'event', 'queued_ms'])
      .where('stream_id', '=', id);
    if (status !== 'enabled') query = query.where('type', '=', STREAM_UPDATED);
    const rows = await query.orderBy('position').limit(limit).execute();
    return rows.map(({ position, event, queued_ms }) => ({
      position,
      event: JSON.parse(event) as SecurityEvent,
      queuedMs: queued_ms,
    }));
  }

  /** By stream: how many wait, and since when the oldest does. */
  async queues(): Promise<
    ReadonlyMap<string, { readonly count: number; readonly oldestMs: number }>
  > {
    const rows = await this.#database
      .tables<SignalTables>()
      .selectFrom('signal_outgoing')
      .select(({ fn }) => [
        'stream_id',
        fn.countAll<number>().as('count'),
        fn.min('queued_ms').as('oldest'),
      ])
      .groupBy('stream_id')
      .execute();
    return new Map(
      rows.map(({ stream_id, count, oldest }) => [stream_id, { count, oldestMs: oldest }]),
    );
  }

  /** The receiver has them, or refuses them: they are not delivered again. */
  async settle(id: string, jtis: readonly string[]): Promise<readonly string[]> {
    if (jtis.length === 0) return [];
    const rows = await this.#database
      .tables<SignalTables>()
      .deleteFrom('signal_outgoing')
      .where('stream_id', '=', id)
      .where('jti', 'in', jtis)
      .returning('jti')
      .execute();
    return rows.map(({ jti }) => jti);
  }

  /** About the stream itself, whatever it asked for and whatever its status (§8.1.4.1). */
  async #queueAbout(
    stream: Stream,
    type: string,
    claims: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const event: SecurityEvent = {
      jti: compactId(),
      atMs: this.#now(),
      subject: { format: 'opaque', id: stream.id },
      type,
      claims,
    };
    const touched = await this.#database.transaction((transaction) =>
      this.queue(transaction, [{ stream, event }]),
    );
    this.told(touched);
  }

  #wordsOn(id: string): { subject: SubjectIdentifier; isIncluded: boolean }[] {
    const known = this.#subjects.get(id);
    if (known) return known;
    const words: { subject: SubjectIdentifier; isIncluded: boolean }[] = [];
    this.#subjects.set(id, words);
    return words;
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }
}
