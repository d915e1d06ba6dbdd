import type { LogEntries } from '@countersign/ledger';
import type { Event } from '@countersign/model';
import { toOcsf } from '../ocsf/to-ocsf.ts';
import { readEvents } from '../read-events.ts';
import type { ExportRecord } from './export-sink.ts';
import type { ExporterOptions, ExportFilter } from './exporter.ts';
import { omitFields } from './omit-fields.ts';

/** A run of entries that cannot be exported, and why the first of them cannot. */
interface Unmapped {
  readonly seq: number;
  readonly through?: number;
  readonly count?: number;
  readonly code: 'unmapped';
  readonly detail: string;
}

/**
 * Makes records of entries. What is no event of its log, or cannot be written in OCSF, comes as unmapped:
 * nothing of it may leave, not even as raw text.
 */
export function makeRecords(
  { start, entries }: Pick<LogEntries, 'start' | 'entries'>,
  options: { readonly origin: string } & Pick<
    ExporterOptions,
    'filter' | 'omit' | 'productVersion'
  >,
): { readonly records: readonly ExportRecord[]; readonly unmapped: readonly Unmapped[] } {
  const { origin, filter, omit = [], productVersion } = options;
  const records: ExportRecord[] = [];
  const unmapped: Unmapped[] = [];
  const leaveOut = (seq: number, detail: string): void => {
    const last = unmapped.at(-1);
    const from = last?.seq ?? seq;
    if (last === undefined || (last.through ?? from) !== seq - 1) {
      unmapped.push({ seq, code: 'unmapped', detail });
    } else {
      const count = seq - from + 1;
      unmapped[unmapped.length - 1] = { ...last, through: seq, count };
    }
  };
  entries.forEach((entry, at) => {
    const seq = start + at;
    const { events, unreadable } = readEvents([entry], { origin, start: seq });
    const [whole] = events;
    if (whole === undefined) {
      leaveOut(seq, unreadable[0]?.detail ?? 'found no event');
      return;
    }
    if (filter && !passes(whole, filter)) return;
    try {
      const event = omitFields(whole, omit);
      const ocsf = toOcsf(event, {
        entry,
        ...(productVersion !== undefined && { productVersion }),
      });
      records.push({ origin, seq, event, json: JSON.stringify(ocsf) });
    } catch (error) {
      leaveOut(seq, error instanceof Error ? error.message : String(error));
    }
  });
  return { records, unmapped };
}

function passes(event: Event, { kinds, effects, surfaces }: ExportFilter): boolean {
  if (kinds && !kinds.includes(event.kind)) return false;
  if (effects && event.kind === 'decision' && !effects.includes(event.effect)) return false;
  const surface = 'surface' in event ? event.surface : undefined;
  return !surfaces || surface === undefined || surfaces.includes(surface);
}
