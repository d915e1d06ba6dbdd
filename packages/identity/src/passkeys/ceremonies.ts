import { randomBytes } from 'node:crypto';
import { type Clock, networkOf } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { Kysely } from 'kysely';
import type { IdentityTables } from '../tables.ts';

type Tables = Kysely<IdentityTables>;

/** What a challenge is made for; a response to one is good for nothing else. */
export type CeremonyPurpose = 'login' | 'account' | 'enrol' | 'add' | 'approve';

const CEREMONY_MILLISECONDS = 5 * 60_000;
/** Challenges of one network that wait at once: an office in the morning has hundreds. Beyond, it finds its own oldest gone. */
const CEREMONIES_OF_NETWORK_MAX = 5000;
/** In all. Beyond, whichever network has the most finds its oldest gone: to push out another's takes as many networks as there are people. */
const CEREMONIES_MAX = 50_000;
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
    {
      challenge = randomBytes(32).toString('base64url'),
      ip = '',
    }: {
      readonly challenge?: string | undefined;
      /** The address that asked for it. */
      readonly ip?: string | undefined;
    } = {},
  ): Promise<string> {
    const network = networkOf(ip);
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
      const crowded = await crowdedNetwork(tables, network);
      if (crowded !== undefined) {
        await tables
          .deleteFrom('ceremony')
          .where('challenge', 'in', (old) =>
            old
              .selectFrom('ceremony')
              .select('challenge')
              .where('network', '=', crowded)
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
          network,
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

/** Whose oldest challenges make room for one more of `network`; nobody's where there is room. */
async function crowdedNetwork(tables: Tables, network: string): Promise<string | undefined> {
  const counted = tables
    .selectFrom('ceremony')
    .select(({ fn }) => fn.countAll<number>().as('count'));
  const own = await counted.where('network', '=', network).executeTakeFirstOrThrow();
  if (Number(own.count) >= CEREMONIES_OF_NETWORK_MAX) return network;
  const all = await counted.executeTakeFirstOrThrow();
  if (Number(all.count) < CEREMONIES_MAX) return undefined;
  const largest = await counted
    .select('network')
    .groupBy('network')
    .orderBy('count', 'desc')
    .executeTakeFirst();
  return largest?.network;
}
