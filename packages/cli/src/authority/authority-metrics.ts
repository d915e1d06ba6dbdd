import type { Collector, ExporterStatus, Labels, Metrics, PublishStatus } from '@countersign/audit';
import type { AuthorityStatus, Identity } from '@countersign/identity';
import { collectedSize } from './record/collected-logs.ts';
import type { IndexLag } from './record/index-lags.ts';
import type { StorageStatus } from './state/storage-status.ts';

/** What the authority tells of collection and exports. */
export function measureAuthority(
  metrics: Metrics,
  parts: {
    readonly identity: Pick<Identity, 'points' | 'authorities'>;
    readonly collector: Pick<Collector, 'size' | 'names'>;
    /** SPIFFE IDs that have the feed open now. */
    readonly connected: () => ReadonlySet<string>;
    readonly exports: () => readonly ExporterStatus[];
    readonly index: () => readonly IndexLag[];
    readonly published: () => readonly PublishStatus[];
    readonly storage: () => StorageStatus;
  },
): void {
  const { identity, collector, connected, exports } = parts;
  metrics.gauge(
    'countersign_state_reached',
    'Whether the database that holds the state is reached, so that facts are vouched for.',
    () => {
      const { engine, away } = parts.storage();
      return [[{ engine }, away ? 0 : 1]];
    },
  );
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
  const eachCa =
    (value: (status: AuthorityStatus) => number | undefined) =>
    (): readonly (readonly [Labels, number])[] =>
      Object.entries(identity.authorities.show()).flatMap(([kind, status]) => {
        const found = value(status);
        return found === undefined ? [] : [[{ kind }, found]];
      });
  metrics.gauge(
    'countersign_ca_active_until_seconds',
    'When the X.509, JWT or token authority that issues has to be replaced at the latest, Unix time.',
    eachCa(({ activeUntilMs }) => activeUntilMs && activeUntilMs / 1000),
  );
  metrics.gauge(
    'countersign_ca_overdue',
    'Whether the next authority should be issuing by now.',
    eachCa(({ isOverdue }) => (isOverdue ? 1 : 0)),
  );
  metrics.gauge(
    'countersign_ca_rotation_failing',
    'Whether the next step of the rotation could not be done.',
    eachCa(({ trouble }) => (trouble ? 1 : 0)),
  );
  metrics.gauge(
    'countersign_ca_authorities',
    'X.509, JWT and token authorities by their state.',
    () =>
      Object.entries(identity.authorities.show()).flatMap(([kind, { authorities }]) =>
        (['prepared', 'active', 'old', 'tainted'] as const).map((state) => [
          { kind, state },
          authorities.filter((each) => each.state === state).length,
        ]),
      ),
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
  metrics.gauge(
    'countersign_index_pending_entries',
    'Entries of a log that can not be found yet.',
    () => parts.index().map(({ name, pending }) => [{ log: name }, pending]),
  );
  metrics.gauge(
    'countersign_index_lag_seconds',
    'How long the oldest of them has been waiting for the index.',
    () => parts.index().map(({ name, lagMs }) => [{ log: name }, lagMs / 1000]),
  );
  const eachLog =
    (value: (status: PublishStatus) => number) => (): readonly (readonly [Labels, number])[] =>
      parts.published().map((status) => [{ log: status.name }, value(status)]);
  metrics.gauge(
    'countersign_publish_pending_entries',
    'Entries of a log that are not published yet.',
    eachLog(({ logSize, publishedSize = 0 }) => logSize - publishedSize),
  );
  metrics.gauge(
    'countersign_publish_lag_seconds',
    'How long the oldest of them has been waiting to be published.',
    eachLog(({ lagMs }) => lagMs / 1000),
  );
  metrics.gauge(
    'countersign_publish_failing',
    'Whether the log can not be published just now.',
    eachLog(({ trouble }) => (trouble ? 1 : 0)),
  );
}
