/**
 * An ECDSA signature as certificates have it (RFC 3279 §2.2.3), of one as PKCS#11 gives it: `r` and `s`, one behind the
 * other, of equal length (pkcs11-curr-v2.40 §2.3.1).
 */
export function ecdsaSignatureDer(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  const content = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  return Buffer.concat([Uint8Array.of(0x30, content.length), content]);
}

function integer(digits: Uint8Array): Uint8Array {
  let start = 0;
  while (start < digits.length - 1 && digits[start] === 0) start += 1;
  const minimal = digits.subarray(start);
  // X.690 §8.3: the first bit is the sign.
  const isPadded = ((minimal[0] ?? 0) & 0x80) !== 0;
  const head = isPadded ? [0x02, minimal.length + 1, 0] : [0x02, minimal.length];
  return Buffer.concat([Uint8Array.from(head), minimal]);
}
