import type { Database, Transaction } from '@countersign/state';
import type { NewEvent, Recorder } from '../new-event.ts';
import { tablesOf } from './directory.ts';
import type { PeopleTables } from './people-tables.ts';

/** Rows in one reading. */
const ROWS = 100;

/**
 * Events of what was taken from somebody. It is taken first, whatever becomes of the log; the event is kept in the same transaction and
 * recorded after it, and again at the next occasion when that fails: at least once.
 */
export class UnrecordedEvents {
  readonly #database: Database;
  readonly #record: Recorder;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly database: Database; readonly record: Recorder }) {
    this.#database = options.database;
    this.#record = options.record;
  }

  /** Keeps them in the transaction that does what they tell. */
  async keep(transaction: Transaction, events: readonly NewEvent[]): Promise<void> {
    if (events.length === 0) return;
    await tablesOf(transaction)
      .insertInto('unrecorded_event')
      .values({ event: JSON.stringify(events) })
      .execute();
  }

  /** Records all that are kept; throws what the log throws. */
  async record(): Promise<void> {
    const done = this.#tail.then(() => this.#recordAll());
    // One at a time, or two would record the same.
    this.#tail = done.catch(() => undefined);
    await done;
  }

  async #recordAll(): Promise<void> {
    const tables = this.#database.tables<PeopleTables>();
    for (;;) {
      const rows = await tables
        .selectFrom('unrecorded_event')
        .selectAll()
        .orderBy('position')
        .limit(ROWS)
        .execute();
      for (const { position, event } of rows) {
        await Promise.all((JSON.parse(event) as NewEvent[]).map((each) => this.#record(each)));
        await tables.deleteFrom('unrecorded_event').where('position', '=', position).execute();
      }
      if (rows.length < ROWS) return;
    }
  }
}
