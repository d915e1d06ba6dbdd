import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { bytesOf, hashOf } from './digest.ts';
import { curveOf, KeyObject } from './public-key.ts';
import { verifyEd25519 } from './verify-ed25519.ts';
import { verifyRsa } from './verify-rsa.ts';

/** Node's constants that verifying names. */
export const constants = { RSA_PKCS1_PADDING: 1, RSA_PKCS1_PSS_PADDING: 6 } as const;

/** What Node's `verify` takes beside a key. */
export interface VerifyKey {
  readonly key: KeyObject;
  readonly dsaEncoding?: 'der' | 'ieee-p1363';
  readonly padding?: number;
  readonly saltLength?: number;
}

/**
 * Node's one-shot `verify`: Ed25519, ECDSA, RSA (PKCS #1 v1.5 and PSS), ML-DSA-44.
 *
 * @throws {Error} for a digest that does not go with the key, as Node does
 */
export function verify(
  algorithm: string | null | undefined,
  data: Uint8Array,
  keyOrOptions: KeyObject | VerifyKey,
  signature: Uint8Array,
): boolean {
  const options = keyOrOptions instanceof KeyObject ? { key: keyOrOptions } : keyOrOptions;
  const { material } = options.key;
  const [message, value] = [bytesOf(data), bytesOf(signature)];
  switch (material.kind) {
    case 'okp':
      if (algorithm || material.name !== 'Ed25519') return unfit(material.name);
      return verifyEd25519(value, message, material.bytes);
    case 'ml-dsa-44':
      if (algorithm) return unfit(material.kind);
      return safely(() => ml_dsa44.verify(value, message, material.bytes));
    case 'ec': {
      const digest = hashOf(algorithm ?? 'sha256')(message);
      const format = options.dsaEncoding === 'ieee-p1363' ? 'compact' : 'der';
      // ECDSA as FIPS 186-5 has it: both s and n-s are good.
      const how = { prehash: false, lowS: false, format } as const;
      return safely(() => curveOf(material).verify(value, digest, material.point, how));
    }
    case 'rsa':
    case 'rsa-pss': {
      const { n, e } = material;
      const isPss =
        material.kind === 'rsa-pss' || options.padding === constants.RSA_PKCS1_PSS_PADDING;
      const padding = isPss
        ? ({ kind: 'pss', saltLength: options.saltLength ?? 'auto' } as const)
        : ({ kind: 'pkcs1' } as const);
      return verifyRsa(value, message, { n, e, algorithm: algorithm ?? 'sha256', padding });
    }
  }
}

/** A signature of another form is a wrong one. */
function safely(isGood: () => boolean): boolean {
  try {
    return isGood();
  } catch {
    return false;
  }
}

function unfit(kind: string): never {
  throw new Error(`cannot verify by a key of type '${kind}' with this digest`);
}
