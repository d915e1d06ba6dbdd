import type { Database } from '@countersign/state';
import type { IdentityTables } from '../tables.ts';
import type { AuthorityKind, AuthoritySlot } from './slot.ts';

/** Whatever `accessTokenTtl` was when the last one was issued. */
const ACCESS_TOKEN_SECONDS_MAX = 300;

/** When the last of what an authority issued ends, of those that issue no more: until then it is known. */
export class IssuedUntil {
  readonly #database: Database;
  readonly #jwtSvidSeconds: number;
  readonly #untilMs = new Map<string, number>();

  constructor(options: { readonly database: Database; readonly jwtSvidSeconds: number }) {
    this.#database = options.database;
    this.#jwtSvidSeconds = options.jwtSvidSeconds;
  }

  of(kind: AuthorityKind, { id, notAfterMs, retiredMs = 0 }: AuthoritySlot): number {
    if (kind === 'x509') return this.#untilMs.get(id) ?? notAfterMs;
    const seconds = kind === 'jwt' ? this.#jwtSvidSeconds : ACCESS_TOKEN_SECONDS_MAX;
    return retiredMs + seconds * 1000;
  }

  /** What X.509 authorities issued is in rows, which are cleaned away when it has ended. */
  async lookAt(x509: readonly AuthoritySlot[]): Promise<void> {
    for (const { id, state } of x509) {
      if (state === 'active' || state === 'prepared' || this.#untilMs.has(id)) continue;
      const row = await this.#database
        .tables<IdentityTables>()
        .selectFrom('svid')
        .select(({ fn }) => fn.max('not_after_ms').as('untilMs'))
        .where('authority', '=', id)
        .executeTakeFirst();
      this.#untilMs.set(id, row?.untilMs ?? 0);
    }
  }

  forget(id: string): void {
    this.#untilMs.delete(id);
  }
}
