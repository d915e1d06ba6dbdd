import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DeadLetter,
  type ExportAlarm,
  type Exporter,
  type ExporterOptions,
  type ExportRecord,
  type ExportSink,
  type ExportSource,
  type SinkAnswer,
  startExporter,
} from '@countersign/audit';
import type { Log } from '@countersign/ledger';

export function sourceOf(log: Log): ExportSource {
  return {
    origin: log.origin,
    size: () => log.size,
    read: (index, bounds) => log.read(index, bounds),
  };
}

/** A sink in memory that answers what the test says; the reader is the real one. */
export function answeringSink(
  answer: (batch: readonly ExportRecord[], count: number) => SinkAnswer | Promise<SinkAnswer>,
  limits: { batchCountMax?: number; batchBytesMax?: number } = {},
) {
  const batches: (readonly ExportRecord[])[] = [];
  const sink: ExportSink = {
    batchCountMax: limits.batchCountMax ?? 100,
    batchBytesMax: limits.batchBytesMax ?? 1e6,
    async send(batch) {
      batches.push(batch);
      return answer(batch, batches.length);
    },
    close: async () => undefined,
  };
  return { sink, batches, seqs: () => batches.map((batch) => batch.map(({ seq }) => seq)) };
}

export const takesAll = (): SinkAnswer => ({ kind: 'taken' });

/** Starts an exporter whose waits are short and written down. */
export async function exporting(
  folder: string,
  options: Partial<ExporterOptions> & Pick<ExporterOptions, 'sink' | 'sources'>,
) {
  const alarms: ExportAlarm[] = [];
  const waits: number[] = [];
  const exporter = await startExporter({
    name: 'siem',
    folder,
    now: Date.now,
    onAlarm: (alarm) => alarms.push(alarm),
    random: () => 0,
    wait: async (milliseconds, signal) => {
      waits.push(milliseconds);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, 5);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(new Error('aborted'));
        });
      });
    },
    ...options,
  });
  /** How long it backed off, in order; looking each second is left out. */
  const backOffs = () => waits.filter((each) => each !== 30_000);
  return { exporter, alarms, backOffs };
}

export function deadLettersIn(folder: string): readonly DeadLetter[] {
  const text = readFileSync(join(folder, 'dead-letters.ndjson'), 'utf8');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

export function cursorIn(folder: string): Readonly<Record<string, number>> {
  return JSON.parse(readFileSync(join(folder, 'cursor.json'), 'utf8')).logs;
}

export async function until(condition: () => boolean, what = 'what was waited for'): Promise<void> {
  const end = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`found no end of waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function caughtUp(exporter: Exporter, log: Log): Promise<void> {
  await until(() => exporter.status().cursors[log.origin] === log.size, 'the cursor');
}
