import { AuditError, type Collector, type RollingLog } from '@countersign/audit';
import { LedgerError } from '@countersign/ledger';
import type { Event } from '@countersign/model';

/** Larger than any entry. */
const ENTRY_BYTES_MAX = 65_536;

/** Gives the entry that stands where an event says that it stands, or nothing when there is none here. */
export type RecordedEntry = (
  place: Pick<Event, 'origin' | 'seq'>,
) => Promise<Uint8Array | undefined>;

/** Looks into the authority's own log and into those that it collected. */
export function recordedEntries(options: {
  readonly trustDomain: string;
  readonly log: RollingLog;
  readonly collector: Collector;
}): RecordedEntry {
  const { trustDomain, log, collector } = options;
  return async ({ origin, seq }) => {
    const bounds = { count: 1, bytesMax: ENTRY_BYTES_MAX };
    if (!origin.startsWith(`${trustDomain}/`)) return undefined;
    const name = origin.slice(trustDomain.length + 1);
    try {
      const own = log.shards().find((shard) => shard.origin === origin);
      const { entries } = await (own
        ? own.log.read(seq, bounds)
        : collector.read(name, seq, bounds));
      return entries[0];
    } catch (error) {
      const isUnknown = error instanceof AuditError && error.code === 'ERR_AUDIT_POINT_UNKNOWN';
      const isBeyond = error instanceof LedgerError && error.code === 'ERR_LEDGER_RANGE';
      if (isUnknown || isBeyond) return undefined;
      throw error;
    }
  };
}
