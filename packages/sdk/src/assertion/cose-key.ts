import { createPublicKey, type KeyObject } from 'node:crypto';
import { algorithmOfKey } from '../signature/signature-algorithm.ts';

/** An authenticator's public key, and what it verifies with. */
export interface CredentialKey {
  /** COSE algorithm: ES256 is -7, EdDSA -8, RS256 -257. */
  readonly algorithm: -7 | -8 | -257;
  readonly key: KeyObject;
}

/** Labels and values of RFC 9053 §7, RFC 8230 §4. */
const KTY = 1;
const ALG = 3;
const CRV_OR_N = -1;
const X_OR_E = -2;
const Y = -3;

/**
 * Reads a COSE_Key as authenticators give it: ES256 on P-256, EdDSA on Ed25519, RS256 of 2048 to 4096 bits.
 *
 * @returns nothing for another kind of key, and for CBOR that is not canonical or has members that do not belong there
 * @see WebAuthn Level 3 §6.5.1.1, RFC 9052 §7
 */
export function credentialKey(cose: Uint8Array): CredentialKey | undefined {
  const members = coseMap(cose);
  if (!members) return undefined;
  const bytes = (label: number) => {
    const value = members.get(label);
    return value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : '';
  };
  const of = (...labels: readonly number[]) =>
    members.size === labels.length && labels.every((label) => members.has(label));
  const is = (kty: number, alg: number, curve?: number) =>
    members.get(KTY) === kty &&
    members.get(ALG) === alg &&
    (curve === undefined || members.get(CRV_OR_N) === curve);
  if (of(KTY, ALG, CRV_OR_N, X_OR_E, Y) && is(2, -7, 1)) {
    return imported(-7, { kty: 'EC', crv: 'P-256', x: bytes(X_OR_E), y: bytes(Y) });
  }
  if (of(KTY, ALG, CRV_OR_N, X_OR_E) && is(1, -8, 6)) {
    return imported(-8, { kty: 'OKP', crv: 'Ed25519', x: bytes(X_OR_E) });
  }
  if (of(KTY, ALG, CRV_OR_N, X_OR_E) && is(3, -257)) {
    return imported(-257, { kty: 'RSA', n: bytes(CRV_OR_N), e: bytes(X_OR_E) });
  }
  return undefined;
}

function imported(
  algorithm: CredentialKey['algorithm'],
  jwk: Readonly<Record<string, string>>,
): CredentialKey | undefined {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return algorithmOfKey(key) === undefined ? undefined : { algorithm, key };
  } catch {
    return undefined;
  }
}

/** Whether it is a COSE_Key (base64url) that assertions are verified with: ES256, EdDSA on Ed25519, or RS256. */
export function isCredentialKey(cose: string): boolean {
  const bytes = Buffer.from(cose, 'base64url');
  return bytes.toString('base64url') === cose && credentialKey(bytes) !== undefined;
}

type Member = number | Uint8Array;

/** A CBOR map from integers to integers and byte strings, canonical: RFC 8949 §4.2.1. */
function coseMap(bytes: Uint8Array): ReadonlyMap<number, Member> | undefined {
  const members = new Map<number, Member>();
  let at = 0;
  /** Major type and argument, in the shortest form. */
  const head = (): readonly [number, number] | undefined => {
    const first = bytes[at++];
    if (first === undefined) return undefined;
    const short = first & 0x1f;
    if (short < 24) return [first >> 5, short];
    const octets = short === 24 ? 1 : short === 25 ? 2 : 0;
    if (octets === 0 || at + octets > bytes.length) return undefined;
    const value = bytes.subarray(at, at + octets).reduce((sum, octet) => sum * 256 + octet, 0);
    at += octets;
    return value < (octets === 1 ? 24 : 256) ? undefined : [first >> 5, value];
  };
  const item = (): Member | undefined => {
    const [major, argument] = head() ?? [-1, 0];
    if (major === 0) return argument;
    if (major === 1) return -1 - argument;
    if (major !== 2 || at + argument > bytes.length) return undefined;
    at += argument;
    return bytes.subarray(at - argument, at);
  };
  const [major, count] = head() ?? [-1, 0];
  if (major !== 5) return undefined;
  for (let number = 0; number < count; number++) {
    const [label, value] = [item(), item()];
    if (typeof label !== 'number' || value === undefined || members.has(label)) return undefined;
    members.set(label, value);
  }
  return at === bytes.length ? members : undefined;
}
