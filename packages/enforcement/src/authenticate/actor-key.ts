import { type KeyObject, X509Certificate } from 'node:crypto';
import {
  algorithmOfKey,
  keyThumbprint,
  publicJwk,
  type SignatureAlgorithm,
} from '@countersign/sdk';
import { LIMITS } from '../limits.ts';
import type { ConnectionPeer } from '../peer.ts';
import { objectClaim } from './claims.ts';
import type { Identity } from './identity.ts';
import { importPublicJwk } from './verification-key.ts';
import { decodeJws } from './verify-jws.ts';

/** The key that a caller authenticates with: the only one whose signature is its own. */
export interface ActorKey {
  readonly key: KeyObject;
  readonly algorithm: SignatureAlgorithm;
  readonly jwk: Readonly<Record<string, string>>;
  /** RFC 7638, base64url. */
  readonly thumbprint: string;
  readonly from: 'dpop' | 'certificate' | 'svid';
  /** DER, base64. */
  readonly certificate?: string;
}

/** Read once a connection, and only when something signed comes over it. */
const ofPeer = new WeakMap<ConnectionPeer, ActorKey | 'unusable'>();

/**
 * The key that the caller's token is bound to, or that its connection was made with. No registry is asked: whoever
 * could authenticate as the caller could sign as it, and nobody else.
 *
 * @returns nothing for a key of a kind that signs no requests
 */
export function actorKey(identity: Identity, peer: ConnectionPeer): ActorKey | undefined {
  if (identity.dpop !== undefined) return keyOfProof(identity.dpop);
  if (peer.kind !== 'partner' && peer.kind !== 'svid') return undefined;
  let known = ofPeer.get(peer);
  if (known === undefined) {
    known =
      keyOfCertificate(peer.leaf, peer.kind === 'svid' ? 'svid' : 'certificate') ?? 'unusable';
    ofPeer.set(peer, known);
  }
  return known === 'unusable' ? undefined : known;
}

/** The proof was verified with this very key, and its thumbprint is the token's `jkt`. */
function keyOfProof(proof: string): ActorKey | undefined {
  const jwk = objectClaim(decodeJws(proof)?.header ?? {}, 'jwk');
  const key = jwk && importPublicJwk(jwk)?.key;
  return key && described(key, 'dpop');
}

function keyOfCertificate(
  leaf: Uint8Array | undefined,
  from: ActorKey['from'],
): ActorKey | undefined {
  if (leaf === undefined || leaf.length > LIMITS.certificateBytes) return undefined;
  const found = described(new X509Certificate(leaf).publicKey, from);
  return found && { ...found, certificate: Buffer.from(leaf).toString('base64') };
}

function described(key: KeyObject, from: ActorKey['from']): ActorKey | undefined {
  const algorithm = algorithmOfKey(key);
  // A certificate may hold RSA that is bound to PSS, of which Node writes no JWK.
  if (!algorithm || key.asymmetricKeyType === 'rsa-pss') return undefined;
  return { key, algorithm, jwk: publicJwk(key), thumbprint: keyThumbprint(key), from };
}
