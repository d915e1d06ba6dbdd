import { join } from 'node:path';
import {
  type Collector,
  type ExportAlarmKind,
  type Exporter,
  type ExporterStatus,
  type ExportSource,
  type ExportTrouble,
  type RollingLog,
  startExporter,
} from '@countersign/audit';
import type { Identity } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { ExportConfig } from '@countersign/policy';
import { createClosers } from '../../closers.ts';
import { version } from '../../version.ts';
import { collectedLogs } from './collected-logs.ts';
import { openSink } from './open-sink.ts';
import type { Recorder } from './own-record.ts';

/** An export that could not begin is tried again, so that mending it takes no restart. */
const AGAIN_MS = 30_000;

/** The exports that an authority runs. */
export interface RunningExports {
  status(): readonly ExporterStatus[];
  /** Something was collected: the exports look at once. */
  wake(): void;
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
  /** When an export that could not begin is tried again. Default 30 s. */
  readonly againMs?: number;
  readonly warn: (text: string) => void;
}

/** One export of the configuration: running, or stopped. */
interface Held {
  readonly config: ExportConfig;
  exporter?: Exporter;
  /** Why it does not run. */
  trouble?: ExportTrouble;
}

/**
 * Starts the exports: each reads the authority's own log and the copies of the points' logs. One that cannot begin, because its
 * cursor is damaged or its folder cannot be used, is an alarm, is stopped alone, and is tried again every half minute.
 *
 * @throws {CommandError} when a file that an export names cannot be read
 */
export async function runExports(
  configs: readonly ExportConfig[],
  options: RunExportsOptions,
): Promise<RunningExports> {
  const closers = createClosers();
  const all: Held[] = configs.map((config) => ({ config }));
  closers.add(async () => {
    for (const { exporter } of all) await exporter?.close();
  });
  try {
    for (const held of all) await begin(held, options);
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
  let trying: Promise<void> | undefined;
  const tryAgain = async (): Promise<void> => {
    for (const held of all) {
      if (held.exporter !== undefined) continue;
      await begin(held, options).catch((error: Error) => stopped(held, error, options));
    }
  };
  const timer = setInterval(() => {
    trying ??= tryAgain().finally(() => {
      trying = undefined;
    });
  }, options.againMs ?? AGAIN_MS);
  timer.unref();
  closers.add(async () => {
    clearInterval(timer);
    await trying;
  });
  const wake = (): void => {
    for (const { exporter } of all) exporter?.wake();
  };
  closers.add(options.log.onCommit(wake));
  return {
    wake,
    status: () => all.map((held) => held.exporter?.status() ?? statusOfStopped(held)),
    close: closers.closeAll,
  };
}

/** @throws {CommandError} when a file that the export names cannot be read */
async function begin(held: Held, options: RunExportsOptions): Promise<void> {
  const { config } = held;
  const { name, kinds, effects, surfaces, omit, maxLagSeconds } = config;
  const { now } = options;
  const sink = await openSink(config, now);
  /** By name, as last seen: a shard may be removed while it is looked at, after every export passed it. */
  const sizes = new Map<string, number>();
  try {
    held.exporter = await startExporter({
      ...{ name, omit, now, sink, productVersion: version, lagMsMax: maxLagSeconds * 1000 },
      folder: join(options.folder, name),
      sources: () => sourcesOf(options, sizes),
      filter: {
        ...(kinds && { kinds }),
        ...(effects && { effects }),
        ...(surfaces && { surfaces }),
      },
      onAlarm: ({ alarm, detail, omitted }) =>
        raise(alarm, `${name}: ${detail}${omitted > 0 ? ` (and ${omitted} before)` : ''}`, options),
    });
    delete held.trouble;
  } catch (error) {
    await sink.close().catch(() => undefined);
    stopped(held, error as Error, options);
  }
}

/** An alarm the first time, and when it is another reason. */
function stopped(held: Held, error: NodeJS.ErrnoException, options: RunExportsOptions): void {
  const { trouble, config } = held;
  const detail = error.message;
  const code = error.code ?? 'stopped';
  held.trouble = {
    ...{ code, detail, attempts: (trouble?.attempts ?? 0) + 1 },
    sinceMs: trouble?.sinceMs ?? options.now(),
  };
  if (trouble?.detail === detail) return;
  raise('export-stopped', `${config.name}: ${detail}; the other exports run`, options);
}

function raise(
  alarm: ExportAlarmKind,
  text: string,
  { record, warn }: Pick<RunExportsOptions, 'record' | 'warn'>,
): void {
  warn(`alarm ${alarm}: ${text}`);
  record({ kind: 'alarm', alarm, detail: text.slice(0, 1000) }).catch((error: Error) =>
    warn(`the alarm was not recorded: ${error.message}`),
  );
}

function statusOfStopped({ config, trouble }: Held): ExporterStatus {
  return {
    ...{ name: config.name, pending: 0, lagMs: 0, taken: 0, deadLetters: 0, cursors: {} },
    lastTakenAtMs: undefined,
    trouble,
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
