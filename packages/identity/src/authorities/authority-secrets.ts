import type { Keyring } from '../keyring.ts';
import { unsealKey } from './sealed-key.ts';
import type { AuthorityKind } from './slot.ts';

/** What keys of authorities are sealed under. */
export interface AuthoritySecrets {
  /** Of token authorities. */
  readonly tokens: Uint8Array;
  /** Of all others; absent in a process that only issues tokens, which reads nothing of those. */
  readonly others?: Uint8Array;
}

export function secretsOf({ authoritySecret, tokenSecret }: Keyring): AuthoritySecrets {
  return { tokens: tokenSecret, others: authoritySecret };
}

/** Whether this process has what a key of that kind is sealed under. */
export function opens({ others }: AuthoritySecrets, kind: AuthorityKind): boolean {
  return kind === 'token' || others !== undefined;
}

/** What a key of that kind is sealed under from now on. */
export function secretFor({ tokens, others }: AuthoritySecrets, kind: AuthorityKind): Uint8Array {
  if (kind === 'token') return tokens;
  if (others === undefined) throw new Error(`broken invariant: no key of kind ${kind} is had here`);
  return others;
}

/**
 * @returns what was kept, and whether it was sealed as an older version did, under the one secret of all kinds
 * @throws {IdentityError} `ERR_IDENTITY_AUTHORITY`
 */
export function unsealedKey(
  sealed: Uint8Array,
  { kind, name, secrets }: { kind: AuthorityKind; name: string; secrets: AuthoritySecrets },
): { readonly kept: Uint8Array; readonly isOlder: boolean } {
  try {
    return { kept: unsealKey(sealed, { secret: secretFor(secrets, kind), name }), isOlder: false };
  } catch (error) {
    if (kind !== 'token' || secrets.others === undefined) throw error;
    return { kept: unsealKey(sealed, { secret: secrets.others, name }), isOlder: true };
  }
}
