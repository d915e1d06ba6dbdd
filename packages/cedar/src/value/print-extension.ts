import type { Datetime, Decimal, Duration, IpAddress } from './extension.ts';
import type { Long } from './long.ts';

/** What `decimal` takes to make this value, at least one digit after the point: `-0.5`. */
export function printDecimal({ scaled }: Decimal): string {
  const exact = BigInt(scaled);
  const magnitude = exact < 0n ? -exact : exact;
  const fraction = `${magnitude % 10_000n}`.padStart(4, '0').replace(/0{1,3}$/, '');
  return `${exact < 0n ? '-' : ''}${magnitude / 10_000n}.${fraction}`;
}

/** What `duration` takes to make this value. Always in milliseconds, as the official engine prints it. */
export function printDuration({ ms }: Duration): string {
  return `${ms}ms`;
}

/** From 0000-01-01 to the end of 9999: what a datetime's text can say. */
const DATETIME_MIN = -62_167_219_200_000;
const DATETIME_MAX = 253_402_300_799_999;

/**
 * What `datetime` takes to make this value: a date alone at midnight, without milliseconds where there are
 * none. Nothing for an instant outside the years 0000 to 9999, which only `offset` reaches.
 */
export function printDatetime({ ms }: Datetime): string | undefined {
  if (typeof ms === 'bigint' || ms < DATETIME_MIN || ms > DATETIME_MAX) return undefined;
  return new Date(ms)
    .toISOString()
    .replace(/T00:00:00\.000Z$/, '')
    .replace(/\.000Z$/, 'Z');
}

/** How the official engine prints an instant, whatever text made it. */
export function printOffsetCall(ms: Long): string {
  return `datetime("1970-01-01").offset(duration("${ms}ms"))`;
}

/** What `ip` takes to make this value; the prefix only where it leaves host bits. */
export function printIp({ version, bits, prefix }: IpAddress): string {
  if (version === 4) {
    const octets = [24, 16, 8, 0].map((shift) => (Number(bits) >>> shift) & 255);
    return `${octets.join('.')}${prefix === 32 ? '' : `/${prefix}`}`;
  }
  const groups = Array.from(
    { length: 8 },
    (_, index) => (BigInt(bits) >> BigInt(112 - index * 16)) & 65_535n,
  );
  return `${printGroups(groups)}${prefix === 128 ? '' : `/${prefix}`}`;
}

/** RFC 5952 §4.2: the first of the longest runs of two or more zero groups becomes `::`. */
function printGroups(groups: readonly bigint[]): string {
  let start = 0;
  let length = 1;
  for (let from = 0; from < 8; from += 1) {
    let to = from;
    while (to < 8 && groups[to] === 0n) to += 1;
    if (to - from > length) {
      start = from;
      length = to - from;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}
