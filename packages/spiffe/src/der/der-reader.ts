import { Buffer } from 'node:buffer';
import { SpiffeError } from '../spiffe-error.ts';

/** One element as it stood in the input. */
export interface DerElement {
  readonly tag: number;
  /** Without tag and length. */
  readonly content: Uint8Array;
  /** With tag and length. */
  readonly raw: Uint8Array;
}

/**
 * Reads DER elements one after the other, strictly: single-byte tags, definite lengths in their shortest form,
 * nothing left over. BER that two parsers could read differently is refused, never repaired.
 *
 * Every method throws `ERR_SPIFFE_CERTIFICATE_MALFORMED`.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  /** @param what names the thing in error messages: `certificate`, `subject alternative name` */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The next element, of whatever tag. */
  readAny(): DerElement {
    const start = this.#offset;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw malformed(this.#what, 'a multi-byte tag', 'a single-byte tag');
    const length = this.#length();
    if (length > this.#bytes.length - this.#offset) {
      throw malformed(
        this.#what,
        `an element of ${length} bytes`,
        `at most ${this.#bytes.length - this.#offset}`,
      );
    }
    const content = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return { tag, content, raw: this.#bytes.subarray(start, this.#offset) };
  }

  read(tag: number): DerElement {
    const element = this.readAny();
    if (element.tag === tag) return element;
    throw malformed(this.#what, `tag 0x${element.tag.toString(16)}`, `0x${tag.toString(16)}`);
  }

  /** The next element when it has that tag; otherwise nothing is consumed. */
  readOptional(tag: number): DerElement | undefined {
    return this.#bytes[this.#offset] === tag ? this.readAny() : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number): DerReader {
    return new DerReader(this.read(tag).content, this.#what);
  }

  end(): void {
    if (!this.isAtEnd) {
      throw malformed(this.#what, `${this.#bytes.length - this.#offset} bytes more`, 'the end');
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw malformed(this.#what, 'the end', 'an element');
    this.#offset += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    // X.690 §10.1: definite and minimal. Three bytes name more than any certificate may have here.
    if (count === 0 || count > 3)
      throw malformed(this.#what, 'an indefinite or huge length', 'DER');
    let length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (count - 1)) {
      throw malformed(this.#what, 'a length in a longer form than needed', 'DER');
    }
    return length;
  }
}

/** X.690 §11.1: true is 0xff, and nothing but. */
export function readBoolean(element: DerElement, what: string): boolean {
  if (element.content.length === 1 && element.content[0] === 0xff) return true;
  if (element.content.length === 1 && element.content[0] === 0x00) return false;
  throw malformed(what, 'a boolean that is neither 0x00 nor 0xff', 'DER');
}

/** The content of an INTEGER, checked to be minimal (X.690 §8.3.2). */
export function readIntegerBytes(element: DerElement, what: string): Uint8Array {
  const [first, second] = element.content;
  const isPadded =
    second !== undefined &&
    ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (first === undefined || isPadded)
    throw malformed(what, 'an integer that is not minimal', 'DER');
  return element.content;
}

/** @returns `2.5.29.17`; arcs are below 2^53 and an identifier has at most 64 bytes */
export function readObjectId(element: DerElement, what: string): string {
  const { content } = element;
  const last = content.at(-1);
  if (last === undefined || last >= 0x80 || content.length > 64) {
    throw malformed(what, 'a broken object identifier', '1 to 64 bytes');
  }
  const arcs: number[] = [];
  let arc = 0;
  let isFirstByte = true;
  for (const byte of content) {
    if (isFirstByte && byte === 0x80) throw malformed(what, 'a padded object identifier', 'DER');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) throw malformed(what, 'a huge arc', 'below 2^53');
    isFirstByte = byte < 0x80;
    if (!isFirstByte) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [head = 0, ...rest] = arcs;
  const first = Math.min(Math.floor(head / 40), 2);
  return [first, head - first * 40, ...rest].join('.');
}

/** @returns bytes and how many bits at the end do not count (X.690 §11.2: those are zero) */
export function readBitString(
  element: DerElement,
  what: string,
): { bytes: Uint8Array; unusedBits: number } {
  const [unusedBits] = element.content;
  const bytes = element.content.subarray(1);
  const last = bytes.at(-1) ?? 0;
  if (
    unusedBits === undefined ||
    unusedBits > 7 ||
    (bytes.length === 0 && unusedBits > 0) ||
    (last & ((1 << unusedBits) - 1)) !== 0
  ) {
    throw malformed(what, 'a broken bit string', 'DER');
  }
  return { bytes, unusedBits };
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** @returns milliseconds since the epoch; RFC 5280 §4.1.2.5: seconds are given, the zone is Zulu */
export function readTime(element: DerElement, what: string): number {
  const text = Buffer.from(element.content).toString('latin1');
  const isUtcTime = element.tag === 0x17;
  const match = isUtcTime
    ? UTC_TIME.exec(text)
    : element.tag === 0x18
      ? GENERALIZED_TIME.exec(text)
      : null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] =
    match?.slice(1).map(Number) ?? [];
  const fullYear = isUtcTime ? year + (year < 50 ? 2000 : 1900) : year;
  const date = new Date(0);
  date.setUTCFullYear(fullYear, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // The round trip refuses a 31st of February, which Date would move to March.
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!match || !isReal || hour > 23 || minute > 59 || second > 59) {
    throw malformed(what, 'a broken time', 'YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ');
  }
  return date.getTime();
}

export function malformed(what: string, found: string, expected: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    `could not read ${what}: found ${found}, expected ${expected}`,
  );
}
