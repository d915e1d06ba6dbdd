import { Buffer } from 'node:buffer';

/** Tags of ITU-T X.690 that certificates use. */
export const DER_TAG = Object.freeze({
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
});

/** One DER element: tag, definite length in its shortest form, content (X.690 §10.1). */
export function derElement(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new RangeError(`broken invariant: der element of ${length} bytes`);
  const out = Buffer.allocUnsafe(header.length + length);
  out.set(header, 0);
  let offset = header.length;
  for (const content of contents) {
    out.set(content, offset);
    offset += content.length;
  }
  return out;
}

export function derSequence(...contents: readonly Uint8Array[]): Uint8Array {
  return derElement(DER_TAG.sequence, ...contents);
}

/** Context-specific and constructed: `[number] EXPLICIT`. */
export function derExplicit(number: number, ...contents: readonly Uint8Array[]): Uint8Array {
  return derElement(0xa0 | number, ...contents);
}

/** Context-specific and primitive: `[number] IMPLICIT` of a string. */
export function derImplicit(number: number, content: Uint8Array): Uint8Array {
  return derElement(0x80 | number, content);
}

/** A non-negative integer from its big-endian bytes, which must already be minimal. */
export function derInteger(bytes: Uint8Array): Uint8Array {
  return derElement(DER_TAG.integer, bytes);
}

export function derTrue(): Uint8Array {
  return derElement(DER_TAG.boolean, Uint8Array.of(0xff));
}

export function derOctetString(...contents: readonly Uint8Array[]): Uint8Array {
  return derElement(DER_TAG.octetString, ...contents);
}

/** @param unusedBits how many bits at the end of the last byte do not count */
export function derBitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return derElement(DER_TAG.bitString, Uint8Array.of(unusedBits), bytes);
}

export function derUtf8String(text: string): Uint8Array {
  return derElement(DER_TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** @param dotted `2.5.29.17` */
export function derObjectId(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const base128 = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) base128.unshift((left & 0x7f) | 0x80);
    bytes.push(...base128);
  }
  return derElement(DER_TAG.objectId, Uint8Array.from(bytes));
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050; whole seconds, Zulu. */
export function derTime(timeMs: number): Uint8Array {
  const digits = new Date(timeMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  const year = Number(digits.slice(0, 4));
  return year < 2050
    ? derElement(DER_TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : derElement(DER_TAG.generalizedTime, Buffer.from(digits, 'latin1'));
}
