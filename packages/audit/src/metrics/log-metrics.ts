import type { Log, LogDisk } from '@countersign/ledger';
import type { Metrics } from './metrics.ts';

/** From a tenth of a millisecond to ten seconds: a disk in a good and in a very bad hour. */
const SECONDS = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025],
  ...[0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
];
/** From one event to the largest commit, 4 MiB. */
const BYTES = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304];

/**
 * A disk that measures each commit of the log written to it: `countersign_log_write_seconds` is from the write to the end of
 * fdatasync, `countersign_log_commit_bytes` the size of the frame.
 *
 * @param options `clock` in milliseconds, one that is never set back, such as `performance.now`
 */
export function meteredDisk(disk: LogDisk, options: DiskMeterOptions): LogDisk {
  return diskMeter(options)(disk);
}

/** Where measurements go. */
export interface DiskMeterOptions {
  readonly metrics: Metrics;
  readonly clock: () => number;
}

/** {@link meteredDisk} for several disks that are measured as one: the shards of a log. */
export function diskMeter({ metrics, clock }: DiskMeterOptions): (disk: LogDisk) => LogDisk {
  const seconds = metrics.histogram(
    'countersign_log_write_seconds',
    'Writing one commit of the log and its fdatasync.',
    SECONDS,
  );
  const bytes = metrics.histogram(
    'countersign_log_commit_bytes',
    'Size of one commit of the log.',
    BYTES,
  );
  return (disk) => ({
    ...disk,
    async openAppend(name) {
      const file = await disk.openAppend(name);
      let beganMs: number | undefined;
      let written = 0;
      return {
        write(part) {
          beganMs ??= clock();
          written += part.length;
          return file.write(part);
        },
        async sync() {
          await file.sync();
          if (beganMs === undefined) return;
          seconds.observe((clock() - beganMs) / 1000);
          bytes.observe(written);
          beganMs = undefined;
          written = 0;
        },
        close: () => file.close(),
      };
    },
  });
}

/** How long a log is, and what waits for its next commit. */
export function measureLog(log: Log, metrics: Metrics): void {
  metrics.counter(
    'countersign_log_entries_total',
    'Entries of the log that are durable.',
    () => log.size,
  );
  metrics.gauge(
    'countersign_log_queue_entries',
    'Entries waiting for their commit.',
    () => log.nextIndex - log.size,
  );
  metrics.gauge(
    'countersign_log_queue_bytes',
    'Bytes of entries waiting for their commit; at the bound of the queue events are refused.',
    () => log.queuedBytes,
  );
}
