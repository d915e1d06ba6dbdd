import { p256, p384, p521 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { Buffer } from '../buffer.ts';
import { bitsOf, childrenOf, oidOf, readDer, TAG, tagged } from './der.ts';

/** Curves by their names in JWK (RFC 7518 §6.2.1.1, RFC 8812 §3.1), with the names that OpenSSL has for them. */
const CURVES = {
  'P-256': { curve: p256, opensslName: 'prime256v1', oid: '1.2.840.10045.3.1.7', bytes: 32 },
  'P-384': { curve: p384, opensslName: 'secp384r1', oid: '1.3.132.0.34', bytes: 48 },
  'P-521': { curve: p521, opensslName: 'secp521r1', oid: '1.3.132.0.35', bytes: 66 },
  secp256k1: { curve: secp256k1, opensslName: 'secp256k1', oid: '1.3.132.0.10', bytes: 32 },
} as const;
type CurveName = keyof typeof CURVES;

/** RFC 8037 §2: bytes of a public key. Those of no signature algorithm of ours are read to be named. */
const OKP_BYTES: Readonly<Record<string, number>> = {
  Ed25519: 32,
  X25519: 32,
  Ed448: 57,
  X448: 56,
};
const OKP_OIDS: Readonly<Record<string, string>> = {
  '1.3.101.110': 'X25519',
  '1.3.101.111': 'X448',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
};
/** RFC 9881 §2. */
const ML_DSA_44_OID = '2.16.840.1.101.3.4.3.17';
const ML_DSA_44_BYTES = 1312;

/** What a public key is made of. */
export type KeyMaterial =
  | { readonly kind: 'ec'; readonly name: CurveName; readonly point: Uint8Array }
  | { readonly kind: 'okp'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: 'rsa' | 'rsa-pss'; readonly n: bigint; readonly e: bigint }
  | { readonly kind: 'ml-dsa-44'; readonly bytes: Uint8Array };

/** A public key that looks like Node's `KeyObject`, as far as verifying asks. */
export class KeyObject {
  readonly type = 'public';
  readonly material: KeyMaterial;

  constructor(material: KeyMaterial) {
    this.material = material;
  }

  get asymmetricKeyType(): string {
    return this.material.kind === 'okp' ? this.material.name.toLowerCase() : this.material.kind;
  }

  get asymmetricKeyDetails(): { readonly namedCurve?: string; readonly modulusLength?: number } {
    if (this.material.kind === 'ec') {
      return { namedCurve: CURVES[this.material.name].opensslName };
    }
    return 'n' in this.material ? { modulusLength: this.material.n.toString(2).length } : {};
  }

  export({ format }: { readonly format: string }): Record<string, string> {
    const { material } = this;
    if (format !== 'jwk' || material.kind === 'rsa-pss') {
      throw new Error(`cannot write a key of type '${this.asymmetricKeyType}' as ${format}`);
    }
    switch (material.kind) {
      case 'ec': {
        const { bytes } = CURVES[material.name];
        const x = base64url(material.point.subarray(1, 1 + bytes));
        return {
          kty: 'EC',
          crv: material.name,
          x,
          y: base64url(material.point.subarray(1 + bytes)),
        };
      }
      case 'okp':
        return { kty: 'OKP', crv: material.name, x: base64url(material.bytes) };
      case 'rsa':
        return { kty: 'RSA', n: base64url(octets(material.n)), e: base64url(octets(material.e)) };
      case 'ml-dsa-44':
        return { kty: 'AKP', alg: 'ML-DSA-44', pub: base64url(material.bytes) };
    }
  }
}

/** The curve of an elliptic key. */
export function curveOf({ name }: KeyMaterial & { readonly kind: 'ec' }) {
  return CURVES[name].curve;
}

/**
 * Reads a public key: DER (SubjectPublicKeyInfo) or JWK, as Node's `createPublicKey` does.
 *
 * @throws {Error} for a key that is none, or of a kind that nothing here verifies with
 */
export function createPublicKey(input: {
  readonly key: Uint8Array | Readonly<Record<string, unknown>>;
  readonly format?: string;
}): KeyObject {
  const { key } = input;
  return key instanceof Uint8Array ? keyOfSpki(key) : keyOfJwk(key);
}

/** RFC 5280 §4.1: SubjectPublicKeyInfo. */
function keyOfSpki(der: Uint8Array): KeyObject {
  const [algorithm, bits] = childrenOf(tagged(readDer(der).value, TAG.sequence));
  const [oid, parameters] = childrenOf(tagged(algorithm, TAG.sequence));
  const name = oidOf(tagged(oid, TAG.oid));
  const bytes = bitsOf(tagged(bits, TAG.bitString));
  if (OKP_OIDS[name] !== undefined) return okp(OKP_OIDS[name], bytes);
  switch (name) {
    case '1.2.840.10045.2.1': {
      const curve = oidOf(tagged(parameters, TAG.oid));
      const found = (Object.keys(CURVES) as CurveName[]).find((each) => CURVES[each].oid === curve);
      return found === undefined ? unknownKey() : elliptic(found, bytes);
    }
    case '1.2.840.113549.1.1.1':
    case '1.2.840.113549.1.1.10': {
      const kind = name.endsWith('.10') ? 'rsa-pss' : 'rsa';
      // Parameters bind the key to a digest and a salt, which nothing here would enforce.
      if (kind === 'rsa-pss' && parameters !== undefined) return unknownKey();
      const [n, e] = childrenOf(tagged(readDer(bytes).value, TAG.sequence));
      return rsa(kind, tagged(n, TAG.integer).content, tagged(e, TAG.integer).content);
    }
    case ML_DSA_44_OID:
      return bytes.length === ML_DSA_44_BYTES
        ? new KeyObject({ kind: 'ml-dsa-44', bytes })
        : unknownKey();
    default:
      return unknownKey();
  }
}

function keyOfJwk(jwk: Readonly<Record<string, unknown>>): KeyObject {
  const member = (name: string): Buffer => {
    const value = jwk[name];
    return typeof value === 'string' ? Buffer.from(value, 'base64url') : unknownKey();
  };
  switch (jwk['kty']) {
    case 'EC': {
      const name = jwk['crv'] as CurveName;
      if (!Object.hasOwn(CURVES, name)) return unknownKey();
      const { bytes } = CURVES[name];
      const [x, y] = [number(member('x')), number(member('y'))];
      return elliptic(name, Buffer.concat([Buffer.of(4), padded(x, bytes), padded(y, bytes)]));
    }
    case 'OKP':
      return okp(String(jwk['crv']), member('x'));
    case 'RSA':
      return rsa('rsa', member('n'), member('e'));
    case 'AKP': {
      const bytes = member('pub');
      return jwk['alg'] === 'ML-DSA-44' && bytes.length === ML_DSA_44_BYTES
        ? new KeyObject({ kind: 'ml-dsa-44', bytes })
        : unknownKey();
    }
    default:
      return unknownKey();
  }
}

function elliptic(name: CurveName, encoded: Uint8Array): KeyObject {
  // Throws for what is no point of the curve.
  const point = CURVES[name].curve.Point.fromBytes(Uint8Array.from(encoded));
  return new KeyObject({ kind: 'ec', name, point: point.toBytes(false) });
}

function okp(name: string, bytes: Uint8Array): KeyObject {
  const isWhole = Object.hasOwn(OKP_BYTES, name) && bytes.length === OKP_BYTES[name];
  return isWhole
    ? new KeyObject({ kind: 'okp', name, bytes: Uint8Array.from(bytes) })
    : unknownKey();
}

function rsa(kind: 'rsa' | 'rsa-pss', n: Uint8Array, e: Uint8Array): KeyObject {
  return new KeyObject({ kind, n: number(n), e: number(e) });
}

function number(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function padded(value: bigint, bytes: number): Uint8Array {
  const digits = value.toString(16).padStart(bytes * 2, '0');
  return digits.length === bytes * 2 ? Buffer.from(digits, 'hex') : unknownKey();
}

function octets(value: bigint): Uint8Array {
  const digits = value.toString(16);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function unknownKey(): never {
  throw new Error('found no public key of a kind that is known');
}
