import { isDeepStrictEqual } from 'node:util';
import { type Clock, type Fact, factKey } from '@countersign/model';
import type { Database, FactLog, Transaction } from '@countersign/state';
import type { AuthorityKeys } from './authority-keys.ts';
import {
  AUTHORITIES_TOPIC,
  readAuthorities,
  type StoredAuthority,
  writeAuthorities,
} from './authority-rows.ts';
import type { AuthoritySecrets } from './authority-secrets.ts';
import { issuerKeyChanges } from './issuer-keys.ts';
import { ownBundle, type TrustBundleFact } from './own-bundle.ts';
import type { AuthorityKind } from './slot.ts';

interface KeptAuthoritiesOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  /** What the keys are sealed under. Without those of all kinds nothing can be changed. */
  readonly secrets: AuthoritySecrets;
  /** Where they are made and used. */
  readonly keys: AuthorityKeys;
  readonly now: Clock;
  readonly lifetimeSeconds: Readonly<Record<AuthorityKind, number>>;
  /** Whose keys the token authorities are. */
  readonly issuerUrl: string;
}

/**
 * The authorities in the database, and the bundle and the issuer's keys that are made of them.
 *
 * INVARIANT: rows, bundle and issuer's keys change in one transaction, so whoever issues is in the bundle, and who leaves it issues nothing;
 * a crash leaves the state before a step or the state after it.
 */
export class KeptAuthorities {
  readonly #options: KeptAuthoritiesOptions;
  #kept: readonly StoredAuthority[];
  /** What is being kept, with its facts: whoever is told of those finds their authorities here. */
  #keeping:
    | {
        readonly authorities: readonly StoredAuthority[];
        readonly puts: readonly Fact[];
        readonly removes: readonly string[];
      }
    | undefined;

  private constructor(kept: readonly StoredAuthority[], options: KeptAuthoritiesOptions) {
    this.#kept = kept;
    this.#options = options;
  }

  /** @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when a key does not open */
  static async open(options: KeptAuthoritiesOptions): Promise<KeptAuthorities> {
    const kept = new KeptAuthorities([], options);
    // What another process prepared, activated or tainted.
    await options.database.follow(AUTHORITIES_TOPIC, async (transaction) => {
      kept.#kept = await readAuthorities(transaction, options);
    });
    return kept;
  }

  /** By the time of their making. */
  get all(): readonly StoredAuthority[] {
    if (this.#keeping === undefined) return this.#kept;
    const { factLog } = this.#options;
    const { authorities, puts, removes } = this.#keeping;
    const isKept =
      puts.every((put) => isDeepStrictEqual(factLog.get(factKey(put)), put)) &&
      removes.every((key) => factLog.get(key) === undefined);
    return isKept ? authorities : this.#kept;
  }

  of(kind: AuthorityKind): readonly StoredAuthority[] {
    return this.all.filter((each) => each.kind === kind);
  }

  /** The bundle in force. */
  bundle(): TrustBundleFact {
    const bundle = this.#bundle();
    if (bundle === undefined) throw new Error('broken invariant: a bundle is published');
    return bundle;
  }

  /** Makes the authorities these and no others; `also` is written in the same transaction. */
  async replace(
    after: readonly StoredAuthority[],
    {
      revocation,
      also = async () => {},
    }: {
      readonly revocation?: Fact | undefined;
      readonly also?: (transaction: Transaction) => Promise<void>;
    } = {},
  ): Promise<void> {
    const { database, factLog, secrets, lifetimeSeconds, issuerUrl, now } = this.#options;
    if (secrets.others === undefined) {
      // The bundle would be made of those that are had here, and of no others.
      throw new Error('broken invariant: authorities change where all of them are had');
    }
    const before = this.#bundle();
    const bundle = ownBundle(after, {
      ...{ trustDomain: factLog.trustDomain, before, nowMs: now() },
      // Whom it refuses is no part of it, but whoever has it must come and hear.
      isAnother: revocation !== undefined,
      lifetimeSecondsMin: Math.min(lifetimeSeconds.x509, lifetimeSeconds.jwt),
    });
    const issuerKeys = issuerKeyChanges(after, { factLog, issuerUrl });
    const { removes } = issuerKeys;
    const puts = [
      ...(bundle === before ? [] : [bundle]),
      ...issuerKeys.puts,
      ...(revocation ? [revocation] : []),
    ];
    const rows = { before: this.#kept, after, secrets };
    const write = async (transaction: Transaction): Promise<void> => {
      await writeAuthorities(transaction, rows);
      await also(transaction);
    };
    try {
      if (puts.length + removes.length > 0) {
        this.#keeping = { authorities: after, puts, removes };
        await factLog.append({ puts, removes }, { also: write });
      } else if (after !== this.#kept) {
        await database.transaction(write);
      }
      this.#kept = after;
    } catch (error) {
      // Whether it was kept, only the database knows.
      this.#kept = await readAuthorities(database, this.#options);
      throw error;
    } finally {
      this.#keeping = undefined;
    }
  }

  #bundle(): TrustBundleFact | undefined {
    const { factLog } = this.#options;
    const fact = factLog.get(`trust-bundle ${factLog.trustDomain}`);
    return fact?.kind === 'trust-bundle' ? fact : undefined;
  }
}
