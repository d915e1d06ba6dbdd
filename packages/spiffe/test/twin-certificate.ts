import { Buffer } from 'node:buffer';
import { tlv } from './craft-certificate.ts';

/** SP 800-186 §3.2.1: n, written in hex as the standard has it. */
export const CURVE_ORDERS = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384':
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'P-521':
    0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
} as const;
export type Curve = keyof typeof CURVE_ORDERS;

interface Parts {
  readonly tbs: Buffer;
  readonly algorithm: Buffer;
  /** Without the count of unused bits. */
  readonly signature: Buffer;
  readonly r: bigint;
  readonly s: bigint;
}

/** A certificate taken apart by a reader that shares nothing with the room's. */
export function partsOf(der: Buffer): Parts {
  const outer = element(der, 0);
  const tbs = element(der, outer.start);
  const algorithm = element(der, tbs.end);
  const bits = element(der, algorithm.end);
  const signature = der.subarray(bits.start + 1, bits.end);
  const isPair = signature[0] === 0x30;
  const first = isPair ? element(signature, element(signature, 0).start) : undefined;
  const second = first && element(signature, first.end);
  const number = (of: { start: number; end: number } | undefined): bigint =>
    of ? BigInt(`0x${signature.subarray(of.start, of.end).toString('hex')}`) : 0n;
  return {
    tbs: der.subarray(outer.start, tbs.end),
    algorithm: der.subarray(tbs.end, algorithm.end),
    signature,
    ...{ r: number(first), s: number(second) },
  };
}

/** The same certificate with another signature. */
export function signedAs({ tbs, algorithm }: Parts, signature: Buffer): Buffer {
  return tlv(0x30, tbs, algorithm, tlv(0x03, Buffer.of(0), signature));
}

/** The same certificate with the other of its two ECDSA signatures, (r, n - s): made without any key. */
export function twinOf(der: Uint8Array, curve: Curve = 'P-256'): Buffer {
  const parts = partsOf(Buffer.from(der));
  const pair = tlv(0x30, integer(parts.r), integer(CURVE_ORDERS[curve] - parts.s));
  return signedAs(parts, pair);
}

function integer(value: bigint): Buffer {
  const text = value.toString(16);
  const bytes = Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
  const isNegative = (bytes[0] ?? 0) >= 0x80;
  return tlv(0x02, isNegative ? Buffer.of(0) : Buffer.alloc(0), bytes);
}

function element(der: Buffer, at: number): { readonly start: number; readonly end: number } {
  const first = der[at + 1] ?? 0;
  const count = first < 0x80 ? 0 : first & 0x7f;
  const length = count === 0 ? first : der.readUIntBE(at + 2, count);
  const start = at + 2 + count;
  return { start, end: start + length };
}
