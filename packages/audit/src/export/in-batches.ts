import type { ExportRecord, ExportSink } from './export-sink.ts';

/** Divides records, in order, into what a sink takes at once; at least one record each. */
export function* inBatches(
  records: readonly ExportRecord[],
  { batchCountMax, batchBytesMax }: Pick<ExportSink, 'batchCountMax' | 'batchBytesMax'>,
): Generator<readonly ExportRecord[], void, undefined> {
  let batch: ExportRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = Buffer.byteLength(record.json);
    if (batch.length > 0 && (batch.length >= batchCountMax || bytes + size > batchBytesMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
