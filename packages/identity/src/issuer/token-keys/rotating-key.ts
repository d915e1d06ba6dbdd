import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { ExternalSigningKey } from 'oidc-provider';
import type { TokenKeys } from '../../authorities/token-keys.ts';

/**
 * The one signing key that `oidc-provider` knows: whichever is active, wherever its private half is. The provider takes its keys
 * once, at its making; a new provider for each key would begin without what the one before was in the middle of.
 */
export class RotatingKey extends ExternalSigningKey {
  readonly #keys: TokenKeys;

  constructor(keys: TokenKeys) {
    super();
    this.#keys = keys;
  }

  /** The provider writes it into the header, and has the header signed: {@link TokenKeys.sign} reads it there. */
  override get kid(): string {
    return this.#keys.activeKid();
  }

  override get alg(): string {
    return 'ES256';
  }

  override set alg(_value: string | undefined) {
    // The provider says what it found out by itself.
  }

  // The members that tell of which kind it is; of one curve are they all.
  override get kty(): string {
    return 'EC';
  }

  override get crv(): string {
    return 'P-256';
  }

  override get x(): string | undefined {
    return this.#jwk()['x'];
  }

  override get y(): string | undefined {
    return this.#jwk()['y'];
  }

  override keyObject(): KeyObject {
    return createPublicKey({ key: this.#jwk() as JsonWebKey, format: 'jwk' });
  }

  override sign(data: Uint8Array): Promise<Uint8Array> {
    return this.#keys.sign(data);
  }

  #jwk(): Readonly<Record<string, string>> {
    return this.#keys.jwk(this.kid) ?? {};
  }
}
