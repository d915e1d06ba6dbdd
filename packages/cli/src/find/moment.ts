import { UsageError } from '../command-line/command.ts';

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/**
 * A moment of an option, in ms since the epoch: ISO 8601 (without a zone it is UTC, a date is its first
 * moment) or how long ago it was, such as `90s`, `10m`, `24h` or `30d ago`.
 *
 * @throws {UsageError} when it is neither
 */
export function momentOf(name: string, text: string, nowMs: number): number {
  const ago = /^([0-9]{1,6})([smhd])(?: ago)?$/.exec(text);
  if (ago) return Math.max(0, nowMs - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS]);
  if (ISO.test(text)) {
    const hasZone = text.length === 10 || /Z|[+-]\d\d:\d\d$/.test(text.slice(10));
    const moment = Date.parse(hasZone ? text : `${text}Z`);
    if (Number.isFinite(moment) && moment >= 0 && isDay(text.slice(0, 10))) return moment;
  }
  throw new UsageError(
    `found --${name} '${text}', expected a moment such as 2027-02-01, 2027-02-01T10:00Z or 30d (ago)`,
  );
}

/** 31 February would become a day of March. */
function isDay(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(text);
}
