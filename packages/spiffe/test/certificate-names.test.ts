import { Buffer } from 'node:buffer';
import { createHash, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { certificateNames, SpiffeError, verifyX509Svid } from '@countersign/spiffe';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLIENT_AUTH,
  type Craft,
  type Crafted,
  craft,
  EMPTY_NAME,
  hex,
  SERVER_AUTH,
  tlv,
  x,
} from './craft-certificate.ts';
import { API, TRUST_DOMAIN } from './support.ts';
import { CURVE_ORDERS, type Curve, partsOf, signedAs, twinOf } from './twin-certificate.ts';

const CURVES: Readonly<Record<Curve, { readonly algorithm: Buffer; readonly hash: string }>> = {
  'P-256': { algorithm: hex('300a06082a8648ce3d040302'), hash: 'sha256' },
  'P-384': { algorithm: hex('300a06082a8648ce3d040303'), hash: 'sha384' },
  'P-521': { algorithm: hex('300a06082a8648ce3d040304'), hash: 'sha512' },
};
const RSA = { algorithm: hex('300d06092a864886f70d01010b0500'), hash: 'sha256' };
const ED25519 = { algorithm: hex('300506032b6570'), hash: null };

type Signing = { readonly algorithm: Buffer; readonly hash: string | null };
type Keys = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

/** An authority with such a key, and SVIDs of it. */
function issuing(keys: Keys, signing: Signing) {
  const root = craft({ extensions: [x.ca, x.certSign], keys, ...signing });
  const svid = (more: Partial<Craft> = {}): Crafted =>
    craft({
      ...{ issuer: root, name: EMPTY_NAME, ...signing },
      extensions: [
        ...[x.notCa, x.digitalSignature, x.usages(SERVER_AUTH, CLIENT_AUTH)],
        x.uris([API.uri]),
      ],
      ...more,
    });
  const verify = (der: Uint8Array) =>
    verifyX509Svid([der], { bundles: new Map([[TRUST_DOMAIN, [root.der]]]), now: Date.now });
  return { svid, verify };
}

const sha256 = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64url');
const authorities = Object.fromEntries(
  Object.entries(CURVES).map(([namedCurve, signing]) => [
    namedCurve,
    issuing(generateKeyPairSync('ec', { namedCurve }), signing),
  ]),
) as Record<Curve, ReturnType<typeof issuing>>;
const byRsa = issuing(generateKeyPairSync('rsa', { modulusLength: 2048 }), RSA);
const byEd25519 = issuing(generateKeyPairSync('ed25519'), ED25519);

describe('a certificate signed with ECDSA', () => {
  test.each(Object.keys(CURVES) as Curve[])(
    'of %s has two names: its other signature verifies as well',
    (curve) => {
      const { svid, verify } = authorities[curve];
      const { der } = svid();
      const twin = twinOf(der, curve);
      expect(sha256(twin)).not.toBe(sha256(der));
      expect(verify(der).names).toEqual([sha256(der), sha256(twin)]);
      expect(verify(twin).names).toEqual([sha256(twin), sha256(der)]);
      expect(verify(twin).thumbprint).toBe(sha256(twin));
    },
  );

  test('is refused under either signature when either is in the list', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(CURVES) as Curve[])),
        fc.uint8Array({ minLength: 1, maxLength: 16 }),
        fc.boolean(),
        fc.boolean(),
        (curve, serial, isTwinListed, isTwinShown) => {
          const number = Buffer.from([0x01, ...serial]);
          const { der } = authorities[curve].svid({ serial: number });
          const twin = twinOf(der, curve);
          const listed = new Set([sha256(isTwinListed ? twin : der)]);
          const { names } = authorities[curve].verify(isTwinShown ? twin : der);
          expect(names.some((name) => name !== undefined && listed.has(name))).toBe(true);
          expect(certificateNames(isTwinShown ? twin : der)).toEqual(names);
        },
      ),
      { numRuns: 150 },
    );
  });
});

test('certificates signed with RSA and Ed25519 have one name', () => {
  for (const { svid, verify } of [byRsa, byEd25519]) {
    const { der } = svid();
    expect(verify(der).names).toEqual([sha256(der)]);
  }
});

test('what is no certificate has the name of its bytes', () => {
  for (const bytes of [Buffer.alloc(0), hex('3000'), Buffer.from('certificate')]) {
    expect(certificateNames(bytes)).toEqual([sha256(bytes)]);
  }
});

describe('no other spelling of a certificate is another certificate', () => {
  const [curve, order] = ['P-256' as const, CURVE_ORDERS['P-256']];
  const { svid, verify } = authorities[curve];
  /** Until neither length nor sign of it is a special case. */
  const plain = (): Buffer => {
    for (;;) {
      const der = Buffer.from(svid().der);
      const { r, s } = partsOf(der);
      const isPlain = [r, s].every((each) => each >> 248n > 0n && each >> 255n === 0n);
      if (isPlain) return der;
    }
  };
  const der = plain();
  const { tbs, algorithm, signature, r, s } = partsOf(der);
  const rebuilt = (bits: Buffer): Buffer => tlv(0x30, tbs, algorithm, tlv(0x03, bits));
  const withSignature = (...parts: Buffer[]): Buffer =>
    rebuilt(Buffer.concat([Buffer.of(0), ...parts]));
  const integer = (value: bigint): Buffer => {
    const text = value.toString(16);
    return Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
  };
  const positive = (value: bigint): Buffer => {
    const bytes = integer(value);
    return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes]);
  };
  const pair = (first: Buffer, second: Buffer): Buffer =>
    tlv(0x30, tlv(0x02, first), tlv(0x02, second));
  const zero = Buffer.of(0);
  const content = Buffer.concat([tlv(0x02, integer(r)), tlv(0x02, integer(s))]);

  test('what is rebuilt of its parts is itself', () => {
    expect(withSignature(pair(positive(r), positive(s)))).toEqual(der);
    expect(withSignature(signature)).toEqual(der);
  });

  const spellings: [string, Buffer][] = [
    ['a byte after it', Buffer.concat([der, zero])],
    [
      'its length in three bytes',
      Buffer.concat([
        Buffer.of(0x30, 0x83, 0, (der.length - 4) >> 8, (der.length - 4) & 255),
        der.subarray(4),
      ]),
    ],
    ['an indefinite length', Buffer.concat([hex('3080'), der.subarray(4), hex('0000')])],
    ['a byte after its signature', tlv(0x30, der.subarray(4), zero)],
    ['a signature that ends one bit early', rebuilt(Buffer.concat([Buffer.of(1), signature]))],
    ['a byte after r and s', withSignature(signature, zero)],
    ['a third number beside r and s', withSignature(tlv(0x30, content, hex('020101')))],
    ['a zero before r', withSignature(pair(Buffer.concat([zero, integer(r)]), integer(s)))],
    ['a zero before s', withSignature(pair(integer(r), Buffer.concat([zero, integer(s)])))],
    ['r and s of a length in two bytes', withSignature(hex('3081'), signature.subarray(1))],
    [
      'r of a length in two bytes',
      withSignature(tlv(0x30, hex('028120'), integer(r), tlv(0x02, integer(s)))),
    ],
    ['r more by the order', withSignature(pair(positive(r + order), positive(s)))],
    ['s more by the order', withSignature(pair(positive(r), positive(s + order)))],
    ['s more by the order, of the other signature', twinPlusOrder()],
    ['s below zero', withSignature(pair(positive(r), negative(s)))],
    [
      'a signature in two pieces',
      tlv(
        0x30,
        tbs,
        algorithm,
        tlv(
          0x23,
          tlv(0x03, zero, signature.subarray(0, 9)),
          tlv(0x03, zero, signature.subarray(9)),
        ),
      ),
    ],
    [
      'an algorithm with parameters',
      tlv(0x30, tbs, hex('300c06082a8648ce3d0403020500'), tlv(0x03, zero, signature)),
    ],
    [
      'an algorithm whose length is in two bytes',
      tlv(0x30, tbs, hex('30810a06082a8648ce3d040302'), tlv(0x03, zero, signature)),
    ],
  ];
  test.each(spellings)('%s: refused, or OpenSSL writes it as it was', (_, spelling) => {
    expect(() => verify(spelling)).toThrow(SpiffeError);
    // A handshake brings what OpenSSL made of it.
    const seen = openSslOf(spelling);
    if (seen === undefined || seen.equals(der)) return;
    expect(() => verify(seen)).toThrow(SpiffeError);
  });

  test('nor is a greater number in its place, of RSA and of Ed25519', () => {
    const { der: edwards } = byEd25519.svid();
    const bytes = partsOf(Buffer.from(edwards));
    // RFC 8032 §5.1: R, then S in little endian, below L.
    const L = 2n ** 252n + 27742317777372353535851937790883648493n;
    const S = BigInt(`0x${Buffer.from(bytes.signature.subarray(32)).reverse().toString('hex')}`);
    const more = Buffer.from((S + L).toString(16).padStart(64, '0'), 'hex').reverse();
    const again = Buffer.concat([bytes.signature.subarray(0, 32), more]);
    expect(() => byEd25519.verify(signedAs(bytes, again))).toThrow(SpiffeError);

    const { der: rsa } = byRsa.svid();
    const parts = partsOf(Buffer.from(rsa));
    const longer = Buffer.concat([zero, parts.signature]);
    expect(() => byRsa.verify(signedAs(parts, longer))).toThrow(SpiffeError);
  });

  function negative(value: bigint): Buffer {
    return integer(BigInt.asUintN(256, -value));
  }

  function twinPlusOrder(): Buffer {
    return withSignature(pair(positive(r), positive(order - s + order)));
  }
});

function openSslOf(spelling: Buffer): Buffer | undefined {
  try {
    return new X509Certificate(spelling).raw;
  } catch {
    return undefined;
  }
}
