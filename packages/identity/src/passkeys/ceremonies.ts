import { randomBytes } from 'node:crypto';
import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';

/** What a challenge is made for; a response to one is good for nothing else. */
export type CeremonyPurpose = 'login' | 'account' | 'enrol' | 'add' | 'approve';

const CEREMONY_MILLISECONDS = 5 * 60_000;
/** Challenges that wait at once, in all; more than that is an attack, and it finds the oldest gone. */
const CEREMONIES_MAX = 20_000;
const CLEANUP_ROWS = 100;

/** Challenges: 256 random bits, each for one response, bound to what asked for it. */
export class Ceremonies {
  readonly #database: Database;
  readonly #now: Clock;

  constructor(options: { readonly database: Database; readonly now: Clock }) {
    this.#database = options.database;
    this.#now = options.now;
  }

  /** Begins one, and ends the one before it of the same purpose and binding. */
  async begin(
    purpose: CeremonyPurpose,
    boundTo: string,
    challenge = randomBytes(32).toString('base64url'),
  ): Promise<string> {
    const nowMs = this.#now();
    await this.#database.transaction(async (transaction) => {
      const tables = transaction.tables<IdentityTables>();
      await tables
        .deleteFrom('ceremony')
        .where('challenge', 'in', (old) =>
          old
            .selectFrom('ceremony')
            .select('challenge')
            .where('expires_ms', '<=', nowMs)
            .limit(CLEANUP_ROWS),
        )
        .execute();
      await tables
        .deleteFrom('ceremony')
        .where('purpose', '=', purpose)
        .where('bound_to', '=', boundTo)
        .execute();
      const { count } = await tables
        .selectFrom('ceremony')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      if (Number(count) >= CEREMONIES_MAX) {
        await tables
          .deleteFrom('ceremony')
          .where('challenge', 'in', (old) =>
            old
              .selectFrom('ceremony')
              .select('challenge')
              .orderBy('expires_ms')
              .limit(CLEANUP_ROWS),
          )
          .execute();
      }
      await tables
        .insertInto('ceremony')
        .values({
          challenge,
          purpose,
          bound_to: boundTo,
          expires_ms: nowMs + CEREMONY_MILLISECONDS,
        })
        .execute();
    });
    return challenge;
  }

  /** Uses a challenge up: true once, for what it was made for, in time. */
  async end(
    challenge: string,
    { purpose, boundTo }: { readonly purpose: CeremonyPurpose; readonly boundTo: string },
  ): Promise<boolean> {
    const row = await this.#database
      .tables<IdentityTables>()
      .deleteFrom('ceremony')
      .where('challenge', '=', challenge)
      .where('purpose', '=', purpose)
      .where('bound_to', '=', boundTo)
      .returning('expires_ms')
      .executeTakeFirst();
    return row !== undefined && row.expires_ms > this.#now();
  }
}
