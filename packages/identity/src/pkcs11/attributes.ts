import type { Cryptoki } from './cryptoki.ts';

/** A template of attributes, and what its pointers lead to. */
export interface Template {
  /** An array of `CK_ATTRIBUTE`: type, pointer, length, eight bytes each. */
  readonly structures: BigUint64Array;
  readonly count: number;
  readonly values: readonly Uint8Array[];
}

/** A number is a `CK_ULONG`, a boolean a `CK_BBOOL`. */
export type AttributeValue = number | boolean | string | Uint8Array;

/** INVARIANT: as long as a template's structures are alive, so are the bytes that they point to. */
const pointedTo = new WeakMap<BigUint64Array, readonly Uint8Array[]>();

/** PKCS#11 v2.40 base §3.3 CK_ATTRIBUTE. */
export function templateOf(
  cryptoki: Cryptoki,
  attributes: readonly (readonly [type: number, value: AttributeValue])[],
): Template {
  const values = attributes.map(([, value]) => bytesOf(value));
  const structures = BigUint64Array.from(
    attributes.flatMap(([type], index) => {
      const bytes = values[index] ?? new Uint8Array(0);
      return [BigInt(type), cryptoki.addressOf(bytes), BigInt(bytes.length)];
    }),
  );
  pointedTo.set(structures, values);
  return { structures, count: attributes.length, values };
}

/** A `CK_ULONG` in bytes, in the order of this machine. */
function ulongBytes(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** The `CK_ULONG` that stands at `offset`. */
export function ulongAt(bytes: Uint8Array, offset: number): number {
  const [value = 0n] = new BigUint64Array(
    Uint8Array.from(bytes.subarray(offset, offset + 8)).buffer,
  );
  return Number(value);
}

function bytesOf(value: AttributeValue): Uint8Array {
  switch (typeof value) {
    case 'number':
      return ulongBytes(value);
    case 'boolean':
      return Uint8Array.of(value ? 1 : 0);
    case 'string':
      return Buffer.from(value, 'utf8');
    default:
      return value;
  }
}
