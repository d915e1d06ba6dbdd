/** How long something is kept, by the calendar (UTC). */
export interface Keep {
  /** 1 to 9999. */
  readonly count: number;
  readonly unit: 'day' | 'month' | 'year';
}

/** How long events of a kind are kept, and because of what. */
export interface RetentionClass {
  /** Lower-case words joined by `-`; at most 63 characters. */
  readonly name: string;
  readonly keep: Keep;
  /** The legal basis, for people. */
  readonly basis: string;
}

/** The class of what changes state, is refused or administers: every event that says nothing else. */
export const EVIDENCE_CLASS = 'evidence';
/** The class of reads that were permitted. */
export const READS_CLASS = 'reads';

/** What holds where a bank writes nothing; it may give both another time and basis of its own. */
export const DEFAULT_RETENTION: readonly RetentionClass[] = [
  {
    name: EVIDENCE_CLASS,
    keep: { count: 7, unit: 'year' },
    basis: 'default: seven years, as 17 CFR 210.2-06 (SOX s. 802) asks of audit records',
  },
  {
    name: READS_CLASS,
    keep: { count: 2, unit: 'year' },
    basis: 'default: two years; (EU) 2024/1774 Art. 12 asks for a time set by purpose and risk',
  },
];

/** When something has been kept for long enough: ms since the epoch. The 31st of a month without one is its last day. */
export function keptUntilMs(fromMs: number, { count, unit }: Keep): number {
  if (unit === 'day') return fromMs + count * 86_400_000;
  const date = new Date(fromMs);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + count * (unit === 'year' ? 12 : 1));
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date.getTime();
}

/** `7 years`, `1 day`. */
export function keepText({ count, unit }: Keep): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
