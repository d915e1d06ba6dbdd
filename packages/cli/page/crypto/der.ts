/** One value of an ASN.1 structure in DER: tags of one octet, lengths in their shortest form. */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Tags of X.690 §8 that certificates and keys are made of. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Reads one value from the start of `bytes`, and how long it is.
 *
 * @throws {Error} for what is no DER
 */
export function readDer(bytes: Uint8Array): { readonly value: DerValue; readonly length: number } {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return noDer();
  let start = 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first - 0x80;
    if (octets < 1 || octets > 3 || bytes.length < 2 + octets) return noDer();
    start += octets;
    length = bytes.subarray(2, start).reduce((sum, octet) => sum * 256 + octet, 0);
    if (length < 0x80 || length < 256 ** (octets - 1)) return noDer();
  }
  const end = start + length;
  if (end > bytes.length) return noDer();
  return { value: { tag, content: bytes.subarray(start, end) }, length: end };
}

/** The values that stand in a constructed one. */
export function childrenOf({ content }: DerValue): readonly DerValue[] {
  const children: DerValue[] = [];
  for (let at = 0; at < content.length; ) {
    const { value, length } = readDer(content.subarray(at));
    children.push(value);
    at += length;
  }
  return children;
}

/** The value, when it has this tag. */
export function tagged(value: DerValue | undefined, tag: number): DerValue {
  return value?.tag === tag ? value : noDer();
}

/** Object identifier in dots. */
export function oidOf({ content }: DerValue): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const octet of content) {
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    if (octet & 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [first = 0n, ...rest] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...rest].join('.');
}

/** The octets of a bit string without unused bits. */
export function bitsOf({ content }: DerValue): Uint8Array {
  return content[0] === 0 ? content.subarray(1) : noDer();
}

function noDer(): never {
  throw new Error('found no DER');
}
