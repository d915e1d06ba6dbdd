import type { Long } from './long.ts';

/** A number with four digits after the point: `scaled` is the value times 10,000, within i64. */
export class Decimal {
  readonly kind = 'decimal';
  readonly scaled: Long;
  constructor(scaled: Long) {
    this.scaled = scaled;
  }
}

/** An instant: milliseconds since 1970-01-01T00:00:00Z, within i64. */
export class Datetime {
  readonly kind = 'datetime';
  readonly ms: Long;
  constructor(ms: Long) {
    this.ms = ms;
  }
}

/** A span of time: milliseconds, within i64. */
export class Duration {
  readonly kind = 'duration';
  readonly ms: Long;
  constructor(ms: Long) {
    this.ms = ms;
  }
}

/** An address or a range; equality counts both address and prefix. */
export class IpAddress {
  readonly kind = 'ipaddr';
  readonly version: 4 | 6;
  /** The whole address as written, host bits included: 32 bits as a `number`, 128 bits as a `bigint`. */
  readonly bits: number | bigint;
  /** 0 to 32, or 0 to 128. */
  readonly prefix: number;

  constructor(version: 4 | 6, bits: number | bigint, prefix: number) {
    this.version = version;
    this.bits = version === 4 ? Number(bits) : bits;
    this.prefix = prefix;
  }
}
