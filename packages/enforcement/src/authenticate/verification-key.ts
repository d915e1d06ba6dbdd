import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Fact } from '@countersign/model';

/** A fact that holds a public key. */
export type KeyFact = Extract<Fact, { kind: 'issuer-key' | 'transaction-key' }>;

/** A key and the one algorithm that it may be used with. */
export interface VerificationKey {
  readonly key: KeyObject;
  readonly algorithm: 'ES256' | 'PS256' | 'EdDSA';
}

/** Imported keys by fact: a fact that is replaced, even by its like, is imported again. */
const imported = new WeakMap<KeyFact, VerificationKey | 'unusable'>();

/** The public key of a fact; nothing when it is none that we verify with. */
export function verificationKey(fact: KeyFact): VerificationKey | undefined {
  let known = imported.get(fact);
  if (known === undefined) {
    known = importPublicJwk(fact.jwk) ?? 'unusable';
    imported.set(fact, known);
  }
  return known === 'unusable' ? undefined : known;
}

/**
 * Imports a public JWK of P-256, Ed25519 or RSA of 2048 to 4096 bits. The key fixes the algorithm
 * (RFC 8725 §3.1), so that a token's header cannot choose. Slower ones are left out: a signature
 * that fails costs as much as a good one, and ES384 costs five times ES256.
 */
export function importPublicJwk(
  jwk: Readonly<Record<string, unknown>>,
): VerificationKey | undefined {
  if (jwk['d'] !== undefined || jwk['k'] !== undefined || jwk['p'] !== undefined) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk as JsonWebKeyInput, format: 'jwk' });
  } catch {
    return undefined;
  }
  const algorithm = algorithmOf(key);
  if (!algorithm) return undefined;
  if (jwk['alg'] !== undefined && jwk['alg'] !== algorithm) return undefined;
  return { key, algorithm };
}

type JsonWebKeyInput = Record<string, string>;

function algorithmOf(key: KeyObject): VerificationKey['algorithm'] | undefined {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      return details?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
    case 'ed25519':
      return 'EdDSA';
    case 'rsa': {
      const bits = details?.modulusLength ?? 0;
      return bits >= 2048 && bits <= 4096 ? 'PS256' : undefined;
    }
    default:
      return undefined;
  }
}
