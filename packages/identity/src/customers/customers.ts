import { isDeepStrictEqual } from 'node:util';
import type { Clock, Fact, SubjectEntity } from '@countersign/model';
import { type Database, type FactLog, migrate, type Transaction } from '@countersign/state';
import { type IdpTables, idpMigrations } from '../idp/idp-tables.ts';
import type { NewEvent, Recorder } from '../new-event.ts';
import {
  endPasskeys,
  endSessions,
  REVOKED_MS,
  removeGrants,
  returnOf,
  revocation,
} from '../people/leaver.ts';
import { UnrecordedEvents } from '../people/unrecorded-events.ts';
import type { Serial } from '../serial.ts';
import type { Customer, WrittenCustomer } from './customer.ts';
import { type CustomerTables, migrations } from './customer-tables.ts';

type Row = CustomerTables['customer'];

/** What a change of customers came to. */
export interface CustomersChanged {
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  /** Ids of those who are disabled by it, and of those who are enabled again. */
  readonly disabled: readonly string[];
  readonly enabled: readonly string[];
}

/** What customers stand on. */
export interface CustomersOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly serial: Serial;
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * The bank's customers. There are too many for facts: points learn of one by its token, in which the issuer vouches for it, and
 * by a fact only what ends it.
 */
export class Customers {
  readonly #options: CustomersOptions;
  readonly #unrecorded: UnrecordedEvents;
  readonly #prefix: string;

  private constructor(options: CustomersOptions) {
    this.#options = options;
    this.#unrecorded = new UnrecordedEvents(options);
    this.#prefix = `spiffe://${options.factLog.trustDomain}/customer/`;
  }

  static async open(options: CustomersOptions): Promise<Customers> {
    await migrate(options.database, { room: 'identity/customers', migrations });
    // Its links are ended here, also where nobody signs in now.
    await migrate(options.database, { room: 'identity/idp', migrations: idpMigrations });
    return new Customers(options);
  }

  /** Nothing for whoever is no customer that the bank wrote. */
  async get(spiffeId: string): Promise<Customer | undefined> {
    const id = this.#idOf(spiffeId);
    const row = id && (await rowOf(this.#options.database, id));
    return row ? this.#customer(row) : undefined;
  }

  spiffeIdOf(id: string): string {
    return this.#prefix + id;
  }

  /** What the issuer vouches of one who is enabled. */
  async entityOf(spiffeId: string): Promise<SubjectEntity | undefined> {
    const customer = await this.get(spiffeId);
    return customer?.enabled
      ? { attributes: customer.attributes, parents: customer.parents }
      : undefined;
  }

  /** In the order of their ids, at most `limit` (1 to 1,000) behind `after`. */
  async list({
    after = '',
    limit,
  }: {
    readonly after?: string;
    readonly limit: number;
  }): Promise<readonly Customer[]> {
    const rows = await tablesOf(this.#options.database)
      .selectFrom('customer')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => this.#customer(row));
  }

  /** Writes them, all of them or none; whoever is disabled by it loses what they have at once. */
  put(customers: readonly WrittenCustomer[], by: string): Promise<CustomersChanged> {
    return this.#change(async (transaction, nowMs) => {
      const changed = { created: 0, changed: 0, unchanged: 0 };
      const edit = emptyEdit();
      for (const written of customers) {
        const before = await rowOf(transaction, written.id);
        const row = rowFrom(written, { before, nowMs });
        if (before && row.enabled === before.enabled && row.entity === before.entity) {
          changed.unchanged += 1;
          continue;
        }
        const { id, ...rest } = row;
        await tablesOf(transaction)
          .insertInto('customer')
          .values(row)
          .onConflict((conflict) => conflict.column('id').doUpdateSet(rest))
          .execute();
        if (before === undefined) changed.created += 1;
        else changed.changed += 1;
        if (before && before.entity !== row.entity)
          edit.events.push(this.#entityEvent(before, row, by));
        if (before?.enabled === 1 && row.enabled === 0) {
          await this.#end(transaction, id, { edit, nowMs, by, action: 'customer-disabled' });
        } else if (before?.enabled === 0 && row.enabled === 1) {
          await this.#letIn(transaction, id, { edit, nowMs, by });
        } else if (before === undefined && row.enabled === 1) {
          // Of one of that id who was removed: what they had is revoked each by itself.
          await this.#lift(transaction, id, { edit, nowMs });
        }
      }
      const { created, changed: count } = changed;
      if (created + count > 0) {
        edit.events.push({
          ...{ kind: 'administration', action: 'customers-written', by },
          detail: { created, changed: count },
        });
      }
      return { ...edit, result: changed };
    });
  }

  /** Forgets one; what it has is ended. False when there is none. */
  async remove(id: string, by: string): Promise<boolean> {
    const known = await rowOf(this.#options.database, id);
    if (known === undefined) return false;
    await this.#change(async (transaction, nowMs) => {
      const edit = emptyEdit();
      await this.#end(transaction, id, { edit, nowMs, by, action: 'customer-removed' });
      await endPasskeys(this.#named(id), { transaction, nowMs });
      await this.#endLinks(id, { transaction, nowMs });
      const tables = tablesOf(transaction);
      await tables
        .deleteFrom('customer_credential')
        .where('subject', '=', this.#prefix + id)
        .execute();
      await tables.deleteFrom('customer').where('id', '=', id).execute();
      return { ...edit, result: { created: 0, changed: 1, unchanged: 0 } };
    });
    return true;
  }

  async #change(
    work: (
      transaction: Transaction,
      nowMs: number,
    ) => Promise<Edit & { readonly result: Omit<CustomersChanged, 'disabled' | 'enabled'> }>,
  ): Promise<CustomersChanged> {
    const { factLog, serial, now } = this.#options;
    return serial.run(async () => {
      let done:
        | (Edit & { readonly result: Omit<CustomersChanged, 'disabled' | 'enabled'> })
        | undefined;
      await factLog.appendWith(async (transaction) => {
        done = await work(transaction, now());
        // What was taken from somebody happens also while the log takes nothing.
        await this.#unrecorded.keep(transaction, done.events);
        return { puts: done.puts, removes: done.removes };
      });
      if (done === undefined) throw new Error('broken invariant: the work was done');
      await this.#unrecorded.record();
      return { ...done.result, disabled: done.disabled, enabled: done.enabled };
    });
  }

  async #end(
    transaction: Transaction,
    id: string,
    {
      edit,
      nowMs,
      by,
      action,
    }: {
      readonly edit: Edit;
      readonly nowMs: number;
      readonly by: string;
      readonly action: string;
    },
  ): Promise<void> {
    const { factLog } = this.#options;
    const person = this.#named(id);
    const sessions = await endSessions(person, { transaction, nowMs });
    const grants = await removeGrants(person, { transaction });
    edit.puts.push(
      revocation(factLog, {
        ...{ target: 'subject', value: person.spiffeId },
        ...{ nowMs, untilMs: nowMs + REVOKED_MS },
      }),
      // By themselves, too: an operator who takes a revocation of the customer back gives none of these back.
      ...sessions.map(({ id: value, endsMs: untilMs }) =>
        revocation(factLog, { target: 'session', value, nowMs, untilMs }),
      ),
    );
    edit.disabled.push(id);
    edit.events.push({
      ...{ kind: 'administration', action, by, target: person.spiffeId },
      detail: { sessions: sessions.map((each) => each.id), grants },
    });
  }

  /**
   * Who had an account at a provider by this id is not whom the bank gives it to next: the account stays somebody else's, and the
   * next one's is free to be linked.
   */
  async #endLinks(
    id: string,
    { transaction, nowMs }: { readonly transaction: Transaction; readonly nowMs: number },
  ): Promise<void> {
    const subject = this.#prefix + id;
    await transaction
      .tables<IdpTables>()
      .updateTable('idp_link')
      // No customer's name: those have no further segment.
      .set({ subject: `${subject}/removed/${nowMs}` })
      .where('subject', '=', subject)
      .execute();
  }

  async #lift(
    transaction: Transaction,
    id: string,
    { edit, nowMs }: { readonly edit: Edit; readonly nowMs: number },
  ): Promise<void> {
    const { factLog } = this.#options;
    const { puts, removes } = await returnOf(this.#named(id), { factLog, transaction, nowMs });
    edit.puts.push(...puts);
    edit.removes.push(...removes);
  }

  async #letIn(
    transaction: Transaction,
    id: string,
    { edit, nowMs, by }: { readonly edit: Edit; readonly nowMs: number; readonly by: string },
  ): Promise<void> {
    await this.#lift(transaction, id, { edit, nowMs });
    edit.enabled.push(id);
    edit.events.push({
      ...{ kind: 'administration', action: 'customer-enabled', by },
      target: this.#prefix + id,
    });
  }

  /** Names of what changed, and not what it was: the record keeps for years what a customer had for days. */
  #entityEvent(before: Row, after: Row, by: string): NewEvent {
    const [old, next] = [before, after].map(({ entity }) => JSON.parse(entity) as SubjectEntity);
    const names = new Set([
      ...Object.keys(old?.attributes ?? {}),
      ...Object.keys(next?.attributes ?? {}),
    ]);
    const attributes = [...names].filter(
      (name) => !isDeepStrictEqual(old?.attributes[name], next?.attributes[name]),
    );
    return {
      ...{
        kind: 'administration',
        action: 'customer-changed',
        by,
        target: this.#prefix + after.id,
      },
      detail: { attributes, parents: !isDeepStrictEqual(old?.parents, next?.parents) },
    };
  }

  #named(id: string): { readonly spiffeId: string } {
    return { spiffeId: this.#prefix + id };
  }

  #idOf(spiffeId: string): string | undefined {
    return spiffeId.startsWith(this.#prefix) ? spiffeId.slice(this.#prefix.length) : undefined;
  }

  #customer(row: Row): Customer {
    return {
      ...{ id: row.id, spiffeId: this.#prefix + row.id, enabled: row.enabled === 1 },
      ...(JSON.parse(row.entity) as SubjectEntity),
      ...{ createdAtMs: row.created_ms, changedAtMs: row.changed_ms },
    };
  }
}

/** What a change does beside the rows of customers. */
interface Edit {
  readonly puts: Fact[];
  readonly removes: string[];
  readonly events: NewEvent[];
  readonly disabled: string[];
  readonly enabled: string[];
}

function emptyEdit(): Edit {
  return { puts: [], removes: [], events: [], disabled: [], enabled: [] };
}

function rowFrom(
  { id, enabled, attributes, parents }: WrittenCustomer,
  { before, nowMs }: { readonly before: Row | undefined; readonly nowMs: number },
): Row {
  return {
    id,
    enabled: enabled ? 1 : 0,
    entity: JSON.stringify({ attributes, parents }),
    created_ms: before?.created_ms ?? nowMs,
    changed_ms: nowMs,
  };
}

function tablesOf(database: Database | Transaction) {
  return database.tables<CustomerTables>();
}

async function rowOf(database: Database | Transaction, id: string): Promise<Row | undefined> {
  return tablesOf(database)
    .selectFrom('customer')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst();
}
