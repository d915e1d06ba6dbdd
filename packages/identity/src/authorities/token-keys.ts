import { es256Signature } from '@countersign/spiffe';
import type { StoredAuthority } from './authority-rows.ts';

/** What signs access tokens and ID tokens, one key after the other. */
export class TokenKeys {
  readonly #kept: {
    readonly active: () => StoredAuthority;
    readonly all: () => readonly StoredAuthority[];
  };

  constructor(kept: {
    /** @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` */
    readonly active: () => StoredAuthority;
    readonly all: () => readonly StoredAuthority[];
  }) {
    this.#kept = kept;
  }

  /** The `kid` of the key that signs now. @throws {IdentityError} `ERR_IDENTITY_AUTHORITY` when none may */
  activeKid(): string {
    return this.#kept.active().id;
  }

  /** Public JWKs, with `kid`, `alg` and `use`, of all that are prepared, active or old: what verifiers are to know. */
  jwks(): readonly Readonly<Record<string, string>>[] {
    return this.#trusted().flatMap(({ jwk }) => (jwk ? [jwk] : []));
  }

  /** The public JWK of one that is prepared, active or old. */
  jwk(kid: unknown): Readonly<Record<string, string>> | undefined {
    return this.#trusted().find(({ id }) => id === kid)?.jwk;
  }

  /**
   * Signs the input of a JWS by ES256, with the key that its header names: what began before a rotation is finished with the key
   * that it began with, and with one that was tainted meanwhile not at all.
   *
   * @returns `r || s`, 64 bytes
   */
  async sign(input: Uint8Array): Promise<Uint8Array> {
    const [header = ''] = Buffer.from(input).toString('latin1').split('.', 1);
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as {
      kid?: unknown;
    };
    const named = this.#trusted().find(({ id, state }) => id === kid && state !== 'prepared');
    if (named === undefined) {
      throw new Error(`could not sign a token: key '${String(kid)}' does not sign, or no more`);
    }
    return es256Signature(await named.key.sign(input));
  }

  #trusted(): readonly StoredAuthority[] {
    return this.#kept.all().filter(({ state }) => state !== 'tainted');
  }
}
