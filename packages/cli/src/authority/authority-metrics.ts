import type { Collector, ExporterStatus, Labels, Metrics } from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import { collectedSize } from './collected-logs.ts';

/** What the authority tells of collection and exports. */
export function measureAuthority(
  metrics: Metrics,
  parts: {
    readonly identity: Pick<Identity, 'points'>;
    readonly collector: Pick<Collector, 'size' | 'names'>;
    /** SPIFFE IDs that have the feed open now. */
    readonly connected: () => ReadonlySet<string>;
    readonly exports: () => readonly ExporterStatus[];
  },
): void {
  const { identity, collector, connected, exports } = parts;
  metrics.gauge('countersign_point_connected', 'Whether a point has the feed open.', () => {
    const open = connected();
    return identity
      .points()
      .map(({ name, spiffeId }) => [{ point: name }, open.has(spiffeId) ? 1 : 0]);
  });
  metrics.counter(
    'countersign_collected_entries_total',
    "Entries of a point's log that the authority holds.",
    async () => {
      const sizes = identity.points().map(async ({ name }) => {
        const size = await collectedSize(collector, name);
        return size === undefined ? [] : [[{ point: name }, size] as const];
      });
      return (await Promise.all(sizes)).flat();
    },
  );
  const each =
    (value: (status: ExporterStatus) => number) => (): readonly (readonly [Labels, number])[] =>
      exports().map((status) => [{ export: status.name }, value(status)]);
  metrics.gauge(
    'countersign_export_pending_entries',
    'Entries that an export has not passed yet.',
    each(({ pending }) => pending),
  );
  metrics.gauge(
    'countersign_export_lag_seconds',
    'How long the oldest of them has been waiting.',
    each(({ lagMs }) => lagMs / 1000),
  );
  metrics.gauge(
    'countersign_export_failing',
    'Whether the sink takes nothing just now.',
    each(({ trouble }) => (trouble ? 1 : 0)),
  );
  metrics.counter(
    'countersign_export_taken_total',
    'Events that the sink took since the start.',
    each(({ taken }) => taken),
  );
  metrics.gauge(
    'countersign_export_dead_letters',
    'Events that were set aside.',
    each(({ deadLetters }) => deadLetters),
  );
}
