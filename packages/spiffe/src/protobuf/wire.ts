import { Buffer } from 'node:buffer';
import { SpiffeError } from '../spiffe-error.ts';

/** Wire types of the encoding; groups (3, 4) are gone from proto3. */
export const WIRE = Object.freeze({ varint: 0, fixed64: 1, bytes: 2, fixed32: 5 });

/** Collects the pieces of one message. */
export class WireWriter {
  readonly #pieces: Uint8Array[] = [];

  varint(field: number, value: number | bigint): void {
    this.#pieces.push(varint((field << 3) | WIRE.varint), varint(value));
  }

  double(field: number, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#pieces.push(varint((field << 3) | WIRE.fixed64), bytes);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#pieces.push(varint((field << 3) | WIRE.bytes), varint(value.length), value);
  }

  text(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, 'utf8'));
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#pieces);
  }
}

/** One field as it stood on the wire. */
export type WireField =
  | { readonly number: number; readonly wire: 'varint'; readonly value: bigint }
  | { readonly number: number; readonly wire: 'fixed'; readonly value: Uint8Array }
  | { readonly number: number; readonly wire: 'bytes'; readonly value: Uint8Array };

/** Reads the fields of one message in order; throws `ERR_SPIFFE_WORKLOAD_PROTOCOL` at the first that is broken. */
export function* wireFields(bytes: Uint8Array): Generator<WireField> {
  let offset = 0;
  const nextVarint = (): bigint => {
    let value = 0n;
    // Ten bytes of seven bits hold 64.
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[offset];
      if (byte === undefined) throw broken('the end within a number');
      offset += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw broken('a number of more than ten bytes');
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - offset) throw broken(`${length} bytes beyond the end`);
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  while (offset < bytes.length) {
    const key = nextVarint();
    const number = Number(key >> 3n);
    if (number < 1 || number > 0x1fff_ffff) throw broken(`field number ${number}`);
    switch (Number(key & 7n)) {
      case WIRE.varint:
        yield { number, wire: 'varint', value: nextVarint() };
        break;
      case WIRE.fixed64:
        yield { number, wire: 'fixed', value: take(8) };
        break;
      case WIRE.bytes:
        yield { number, wire: 'bytes', value: take(Number(nextVarint())) };
        break;
      case WIRE.fixed32:
        yield { number, wire: 'fixed', value: take(4) };
        break;
      default:
        throw broken(`wire type ${key & 7n}`);
    }
  }
}

/** proto3: text is UTF-8, and nothing is repaired. */
export function wireText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw broken('text that is not utf-8', cause);
  }
}

export function broken(found: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    `could not read message: found ${found}, expected protocol buffers`,
    { cause },
  );
}

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  // A negative int32 or int64 takes ten bytes: its 64 bits in two's complement.
  let left = BigInt.asUintN(64, BigInt(value));
  while (left > 0x7fn) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  return Uint8Array.from(bytes);
}
