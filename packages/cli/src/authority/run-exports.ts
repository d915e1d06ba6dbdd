import { join } from 'node:path';
import {
  type Collector,
  type Exporter,
  type ExporterStatus,
  type ExportSource,
  type RollingLog,
  startExporter,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { ExportConfig } from '@countersign/policy';
import { createClosers } from '../closers.ts';
import { version } from '../version.ts';
import { collectedLogs } from './collected-logs.ts';
import { openSink } from './open-sink.ts';
import type { Recorder } from './own-record.ts';

/** The exports that an authority runs. */
export interface RunningExports {
  status(): readonly ExporterStatus[];
  close(): Promise<void>;
}

/** What exports need of the authority. */
export interface RunExportsOptions {
  /** Holds a folder for each export. */
  readonly folder: string;
  readonly log: RollingLog;
  readonly collector: Collector;
  readonly identity: Pick<Identity, 'points'>;
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/**
 * Starts the exports: each reads the authority's own log and the copies of the points' logs.
 *
 * @throws {CommandError} when a file that an export names cannot be read
 * @throws {AuditError} `ERR_AUDIT_CURSOR_INVALID`
 */
export async function runExports(
  configs: readonly ExportConfig[],
  options: RunExportsOptions,
): Promise<RunningExports> {
  const { log, record, now, warn } = options;
  const closers = createClosers();
  const exporters: Exporter[] = [];
  /** By name, as last seen: a shard may be removed while it is looked at, after every export passed it. */
  const sizes = new Map<string, number>();
  try {
    for (const config of configs) {
      const { name, kinds, effects, surfaces, omit, maxLagSeconds } = config;
      const exporter = await startExporter({
        ...{ name, omit, now, productVersion: version, lagMsMax: maxLagSeconds * 1000 },
        folder: join(options.folder, name),
        sink: await openSink(config, now),
        sources: () => sourcesOf(options, sizes),
        filter: {
          ...(kinds && { kinds }),
          ...(effects && { effects }),
          ...(surfaces && { surfaces }),
        },
        onAlarm: ({ alarm, detail, omitted }) => {
          const text = `${name}: ${detail}${omitted > 0 ? ` (and ${omitted} before)` : ''}`;
          warn(`alarm ${alarm}: ${text}`);
          record({ kind: 'alarm', alarm, detail: text.slice(0, 1000) }).catch((error: Error) =>
            warn(`the alarm was not recorded: ${error.message}`),
          );
        },
      });
      exporters.push(exporter);
      closers.add(() => exporter.close());
    }
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
  closers.add(
    log.onCommit(() => {
      for (const exporter of exporters) exporter.wake();
    }),
  );
  return {
    status: () => exporters.map((exporter) => exporter.status()),
    close: closers.closeAll,
  };
}

function sourcesOf(
  { log, collector, identity }: RunExportsOptions,
  sizes: Map<string, number>,
): readonly ExportSource[] {
  const own = log.shards().map(
    ({ origin, log: shard }): ExportSource => ({
      origin,
      size: () => shard.size,
      read: (index, bounds) => shard.read(index, bounds),
    }),
  );
  const collected = collectedLogs(collector, identity)
    // Of a shard whose entries were removed there is nothing to send.
    .filter(({ name }) => !collector.isRemoved(name))
    .map(
      ({ name, origin }): ExportSource => ({
        origin,
        async size() {
          const held = await collector.size(name);
          const size = held ?? (collector.isRemoved(name) ? sizes.get(name) : undefined);
          if (size === undefined) throw new Error(`found no copy of the log of '${name}'`);
          sizes.set(name, size);
          return size;
        },
        read: (index, bounds) => collector.read(name, index, bounds),
      }),
    );
  return [...own, ...collected];
}
