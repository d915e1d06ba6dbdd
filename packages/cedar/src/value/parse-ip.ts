import { IpAddress } from './extension.ts';

/** As long as the longest there is: `ABCD:EF01:2345:6789:ABCD:EF01:2345:6789/128`. */
const LENGTH_MAX = 43;
const V4_LENGTH_MAX = 15;

const DOT = 46;
const ZERO = 48;
const COLON = 58;

/** The groups of the IPv6 address being read; owned by `parseV6` between its first line and its last. */
const groups = new Uint16Array(8);

/**
 * Reads what `ip("…")` takes: an IPv4 or IPv6 address, or a range with `/prefix`. No leading zeros in octets
 * and prefix, no dotted quad inside IPv6, no zone.
 */
export function parseIp(text: string): IpAddress | undefined {
  const { length } = text;
  // Characters instead of bytes will do: what is not ASCII is refused below.
  if (length > LENGTH_MAX) return undefined;
  const slash = text.indexOf('/');
  const end = slash < 0 ? length : slash;
  const octets = parseV4(text, end);
  if (octets >= 0) {
    const prefix = slash < 0 ? 32 : parsePrefix(text, slash + 1, 32);
    return prefix < 0 ? undefined : new IpAddress(4, octets, prefix);
  }
  const bits = parseV6(text, end);
  if (bits === undefined) return undefined;
  const prefix = slash < 0 ? 128 : parsePrefix(text, slash + 1, 128);
  return prefix < 0 ? undefined : new IpAddress(6, bits, prefix);
}

/** The four octets as one number, or -1. */
function parseV4(text: string, end: number): number {
  if (end > V4_LENGTH_MAX) return -1;
  let octets = 0;
  let octet = -1;
  let dots = 0;
  for (let at = 0; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (octet < 0 || dots === 3) return -1;
      dots += 1;
      octets = octets * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - ZERO;
    // A zero followed by a digit is a leading zero.
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? octets * 256 + octet : -1;
}

/** Eight groups of up to four hex digits; one `::` may stand for one or more groups of zeros. */
function parseV6(text: string, end: number): bigint | undefined {
  let count = 0;
  /** How many groups stood before the `::`, or -1. */
  let before = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON || end < 2) return undefined;
    before = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return undefined;
    let group = 0;
    let digits = 0;
    for (; at < end && digits <= 4; digits += 1) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      group = group * 16 + digit;
      at += 1;
    }
    if (digits < 1 || digits > 4) return undefined;
    groups[count] = group;
    count += 1;
    if (at === end) break;
    if (text.charCodeAt(at) !== COLON) return undefined;
    at += 1;
    if (at < end && text.charCodeAt(at) === COLON) {
      if (before >= 0) return undefined;
      before = count;
      at += 1;
    } else if (at === end) {
      return undefined;
    }
  }
  if (before < 0 ? count !== 8 : count > 7) return undefined;
  const gap = before < 0 ? 0 : 8 - count;
  if (gap > 0) {
    groups.copyWithin(before + gap, before, count);
    groups.fill(0, before, before + gap);
  }
  return (word(0) << 96n) | (word(2) << 64n) | (word(4) << 32n) | word(6);
}

/** Two groups as 32 bits. */
function word(index: number): bigint {
  return BigInt((groups[index] as number) * 65_536 + (groups[index + 1] as number));
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= 57) return code - ZERO;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** The number after the slash, or -1. */
function parsePrefix(text: string, start: number, max: number): number {
  const { length } = text;
  const digits = length - start;
  if (digits < 1 || digits > (max === 32 ? 2 : 3)) return -1;
  if (digits > 1 && text.charCodeAt(start) === ZERO) return -1;
  let prefix = 0;
  for (let at = start; at < length; at += 1) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    prefix = prefix * 10 + digit;
  }
  return prefix > max ? -1 : prefix;
}
