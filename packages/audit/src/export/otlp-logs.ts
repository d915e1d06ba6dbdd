import type { ExportRecord } from './export-sink.ts';

/** `AnyValue` of OpenTelemetry's protocol, in its JSON form. */
type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  /** 64 bits: a string, as in all JSON of Protocol Buffers. */
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValue[] } };

interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

/** OpenTelemetry logs data model, "Severity Fields": the first number of each range. */
const SEVERITIES: Readonly<Record<number, { number: number; text: string }>> = {
  1: { number: 9, text: 'INFO' },
  2: { number: 10, text: 'INFO2' },
  3: { number: 13, text: 'WARN' },
  4: { number: 17, text: 'ERROR' },
  5: { number: 21, text: 'FATAL' },
};
const UNSPECIFIED = { number: 0, text: '' };

/**
 * `ExportLogsServiceRequest` as JSON: one resource (the log), one scope, a record for each event. The body is the
 * event in OCSF as a map; `log.record.uid` is its `metadata.uid`, by which duplicates are recognised.
 *
 * @param batch of one log, not empty
 * @see OTLP 1.9, "JSON Protobuf Encoding": lowerCamelCase, 64-bit integers as strings
 */
export function otlpLogs(
  batch: readonly ExportRecord[],
  { nowMs, version }: { readonly nowMs: number; readonly version?: string },
): string {
  const resource = {
    attributes: attributesOf({
      'service.name': 'countersign',
      ...(version !== undefined && { 'service.version': version }),
      'countersign.log.origin': batch[0]?.origin ?? '',
    }),
  };
  const scope = { name: 'countersign', ...(version !== undefined && { version }) };
  const logRecords = batch.map((record) => logRecord(record, nowMs));
  return JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords }] }] });
}

function logRecord({ json, seq, event }: ExportRecord, nowMs: number): object {
  const ocsf = JSON.parse(json);
  const { number, text } = SEVERITIES[ocsf.severity_id] ?? UNSPECIFIED;
  return {
    timeUnixNano: `${ocsf.time}000000`,
    observedTimeUnixNano: `${nowMs}000000`,
    severityNumber: number,
    severityText: text,
    eventName: `countersign.${event.kind}`,
    body: anyValue(ocsf),
    attributes: attributesOf({
      'log.record.uid': ocsf.metadata.uid,
      'countersign.log.index': seq,
      'ocsf.class_uid': ocsf.class_uid,
    }),
  };
}

function attributesOf(record: Readonly<Record<string, unknown>>): readonly KeyValue[] {
  return Object.entries(record).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  // JSON's null: an AnyValue without a value is allowed, and is what a null becomes.
  if (value === null || typeof value !== 'object') return {} as AnyValue;
  return { kvlistValue: { values: attributesOf(value as Record<string, unknown>) } };
}
