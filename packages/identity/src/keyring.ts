import { createHash, createPublicKey, hkdfSync, type KeyObject, sign } from 'node:crypto';
import { localSigner, type StatementSigner } from '@countersign/state';
import type { AuthorityKind } from './authorities/slot.ts';
import { openKeyFiles, removeFirstKey } from './key-files.ts';

/** The authority's keys, apart from each other. What comes out signs; the keys themselves stay inside. */
export interface Keyring {
  /** 32 bytes: what the keys of the X.509 and JWT authorities, which rotate, are encrypted under. */
  readonly authoritySecret: Uint8Array;
  /** 32 bytes: the same for the keys of token authorities. It opens nothing else, so that an issuer on another host may have it. */
  readonly tokenSecret: Uint8Array;
  /** Ed25519: facts. */
  readonly facts: StatementSigner;
  /** Ed25519: policy bundles. */
  readonly policy: StatementSigner;
  /** Ed25519: checkpoints of the authority's own log. */
  readonly log: {
    /** 32 bytes. */
    readonly publicKey: Uint8Array;
    sign(message: Uint8Array): Uint8Array;
  };
  /** 32 bytes: what the keys of the record are encrypted under. It stays with the authority. */
  readonly recordSecret: Uint8Array;
}

/** P-256 keys that lie in files of their own, until what they are of is over. */
export interface FirstAuthorityKeys {
  readonly x509?: KeyObject;
  readonly jwt?: KeyObject;
  readonly token?: KeyObject;
  /** Removes the file. */
  remove(kind: AuthorityKind): Promise<void>;
}

const firstAuthorityKeys = new WeakMap<Keyring, FirstAuthorityKeys>();

/**
 * Opens the keys in a folder, and makes them there when the folder does not exist yet or is empty.
 *
 * Each key is a file of its own, mode 0600, PKCS#8 encrypted with PBES2 (aes-256-cbc). Node derives with
 * 2,048 rounds of PBKDF2, so the strength is the passphrase's: take a random one.
 *
 * @param options `passphrase` at least 16 characters
 * @throws {IdentityError} `ERR_IDENTITY_PASSPHRASE` when it is too short or not the one,
 *   `ERR_IDENTITY_KEY` when a file is missing, broken or readable by others
 * @see RFC 8018 §6.2
 */
export async function openKeyring(options: {
  readonly folder: string;
  readonly passphrase: string;
}): Promise<Keyring> {
  const keys = await openKeyFiles(options);
  const keyring: Keyring = Object.freeze({
    authoritySecret: secretOf(keys.authorities, 'countersign authority keys v1'),
    tokenSecret: secretOf(keys.authorities, 'countersign token authority keys v1'),
    facts: localSigner(keys.facts, publicJwkOf(keys.facts).kid),
    policy: localSigner(keys.policy, publicJwkOf(keys.policy).kid),
    log: Object.freeze({
      publicKey: Buffer.from(publicJwkOf(keys.log).x, 'base64url'),
      sign: (message: Uint8Array) => sign(null, message, keys.log),
    }),
    recordSecret: secretOf(keys.record, 'countersign record keys v1'),
  });
  firstAuthorityKeys.set(keyring, {
    ...(keys.firstX509 && { x509: keys.firstX509 }),
    ...(keys.firstJwt && { jwt: keys.firstJwt }),
    ...(keys.firstToken && { token: keys.firstToken }),
    remove: (kind) => removeFirstKey(options.folder, kind),
  });
  return keyring;
}

/** The keys of the authorities of before they rotated, where the keyring has them; not exported from the room. */
export function firstAuthorityKeysOf(keyring: Keyring): FirstAuthorityKeys {
  return firstAuthorityKeys.get(keyring) ?? { remove: async () => undefined };
}

/** The RFC 7638 thumbprint of a public JWK of kind EC, OKP or RSA: SHA-256, base64url. */
export function jwkThumbprint(jwk: Readonly<Record<string, unknown>>): string {
  const { crv, e, kty, n, x, y } = jwk;
  // RFC 7638 §3.3, RFC 8037 §2: the required members and no others, in lexicographic order.
  const members =
    kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** From the private scalar (RFC 7748 §5), so that the key itself is used for nothing else. */
function secretOf(key: KeyObject, purpose: string): Uint8Array {
  const scalar = Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url');
  return new Uint8Array(hkdfSync('sha256', scalar, '', purpose, 32));
}

function publicJwkOf(key: KeyObject): Record<string, string> & { kid: string; x: string } {
  const jwk = createPublicKey(key).export({ format: 'jwk' }) as Record<string, string>;
  return { ...jwk, x: String(jwk['x']), kid: jwkThumbprint(jwk) };
}
