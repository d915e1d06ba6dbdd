import { createHash } from 'node:crypto';
import type { Tables } from './directory.ts';
import { LEAVER_FACT_MS, type Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import type { PeopleTables } from './people-tables.ts';

/** People whose facts are made again in one transaction. */
const CHUNK = 500;
const FORGET_EVERY_MS = 3_600_000;

/** What becomes of people by time alone, or by another configuration. */
export class Upkeep {
  readonly #options: Pick<LifecycleOptions, 'database' | 'factLog' | 'config' | 'now'>;
  readonly #lifecycle: Lifecycle;
  #forgottenAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    options: Pick<LifecycleOptions, 'database' | 'factLog' | 'config' | 'now'>,
    lifecycle: Lifecycle,
  ) {
    this.#options = options;
    this.#lifecycle = lifecycle;
  }

  /** Makes facts of all people again when the configuration says otherwise what they are made of. */
  async reconcile(): Promise<void> {
    const { config } = this.#options;
    const mapping = createHash('sha256').update(JSON.stringify(config)).digest('base64url');
    if ((await this.#state('mapping')) === mapping) return;
    for (let after = 0; ; ) {
      const rows = await this.#tables()
        .selectFrom('person')
        .select(['id', 'position'])
        .where('deleted_ms', 'is', null)
        .where('position', '>', after)
        .orderBy('position')
        .limit(CHUNK)
        .execute();
      await this.#recompute(
        rows.map(({ id }) => id),
        'the configuration of people changed',
      );
      after = rows.at(-1)?.position ?? 0;
      if (rows.length < CHUNK) break;
    }
    await this.#setState('mapping', mapping);
  }

  /**
   * Acts on effective dates that have come, records what could not be recorded, and forgets facts of those who left long ago; to be
   * called about once a minute, by callers that run it alone.
   */
  async sweep(): Promise<void> {
    await this.#lifecycle.recordLeftovers();
    await this.#settle();
    await this.#forget();
  }

  async #settle(): Promise<void> {
    const nowMs = this.#options.now();
    const settled = Number((await this.#state('settled')) ?? nowMs);
    const rows = await this.#tables()
      .selectFrom('employment')
      .select('person_id')
      .distinct()
      .where(({ or, and, eb }) =>
        or([
          and([eb('starts_ms', '>', settled), eb('starts_ms', '<=', nowMs)]),
          and([eb('ends_ms', '>', settled), eb('ends_ms', '<=', nowMs)]),
        ]),
      )
      .execute();
    await this.#recompute(
      rows.map(({ person_id }) => person_id),
      'an effective date of an employment',
    );
    // After what it stands for: a crash in between does it again, which changes nothing.
    if (nowMs > settled || (await this.#state('settled')) === undefined) {
      await this.#setState('settled', String(nowMs));
    }
  }

  async #recompute(ids: readonly string[], reason: string): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK) {
      const concerned = ids.slice(at, at + CHUNK);
      await this.#lifecycle.commit({
        by: 'system',
        reason,
        write: async () => ({ concerned }),
      });
    }
  }

  /** A fact for each who ever left would fill what enforcement points can hold. */
  async #forget(): Promise<void> {
    const { factLog, now } = this.#options;
    const nowMs = now();
    if (nowMs < this.#forgottenAtMs + FORGET_EVERY_MS) return;
    this.#forgottenAtMs = nowMs;
    const rows = await this.#tables()
      .selectFrom('person')
      .select('spiffe_id')
      .where('enabled', '=', 0)
      .where('disabled_ms', '<=', nowMs - LEAVER_FACT_MS)
      .execute();
    const removes = rows
      .map(({ spiffe_id }) => `subject ${spiffe_id}`)
      .filter((key) => factLog.get(key) !== undefined);
    if (removes.length > 0) await factLog.append({ removes });
  }

  async #state(name: string): Promise<string | undefined> {
    const row = await this.#tables()
      .selectFrom('people_state')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirst();
    return row?.value;
  }

  async #setState(name: string, value: string): Promise<void> {
    await this.#tables()
      .insertInto('people_state')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  }

  #tables(): Tables {
    return this.#options.database.tables<PeopleTables>();
  }
}
