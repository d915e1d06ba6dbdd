import type { ExportSink, SinkAnswer } from './export-sink.ts';
import { type HttpSinkOptions, httpPost } from './http-post.ts';
import { otlpLogs } from './otlp-logs.ts';

/** How OTLP logs are sent. */
export interface OtlpSinkOptions extends HttpSinkOptions {
  /** `service.version` and the scope's version. */
  readonly version?: string;
}

/**
 * Logs in OTLP over HTTP, as JSON; the URL is the whole one, mostly `…/v1/logs`. A collector that answers 200 may still
 * lose what it took: it is a way to a SIEM, and no place for a record.
 *
 * A partial success must not be sent again (OTLP, "Partial Success") and does not say which records were rejected:
 * the batch is set aside as a run with their count. Statuses that OTLP says are not to be repeated (401, 404, 500) are
 * asked again all the same, slowly: events must not be dropped because a token has ended.
 *
 * @throws {AuditError} `ERR_AUDIT_SINK_INVALID`
 */
export function otlpSink(options: OtlpSinkOptions): ExportSink {
  const http = httpPost(options);
  const { now, version } = options;
  return {
    batchCountMax: 500,
    // About twice as much in OTLP.
    batchBytesMax: 1024 * 1024,
    async send(batch, signal) {
      const body = otlpLogs(batch, { nowMs: now(), ...(version !== undefined && { version }) });
      const { body: text = '', ...answer } = await http.post(body, {
        contentType: 'application/json',
        signal,
      });
      return answer.kind === 'taken' ? partial(text, batch.length) : answer;
    },
    close: () => http.close(),
  };
}

function partial(text: string, batchCount: number): SinkAnswer {
  let rejected = 0;
  let detail = '';
  try {
    const { partialSuccess } = JSON.parse(text);
    // A string, being 64 bits; some servers write a number.
    rejected = Number(partialSuccess?.rejectedLogRecords ?? 0);
    detail = String(partialSuccess?.errorMessage ?? '');
  } catch {
    // No JSON: some servers answer an empty body, and the status is what counts.
  }
  // Without a count the message is a warning.
  if (!(rejected > 0)) return { kind: 'taken' };
  const count = Math.min(Math.ceil(rejected), batchCount);
  return {
    kind: 'partial',
    count,
    detail: detail.slice(0, 300) || 'the collector does not say why',
  };
}
