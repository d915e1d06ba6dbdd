import type { ExportSink } from './export-sink.ts';
import { type HttpSinkOptions, httpPost } from './http-post.ts';

/** How batches are written. */
export interface HttpsSinkOptions extends HttpSinkOptions {
  /** `ndjson`: a line each (`application/x-ndjson`); `json`: an array. Default `ndjson`. */
  readonly format?: 'ndjson' | 'json';
  /** Default 500. */
  readonly batchCountMax?: number;
  /** Of JSON, before gzip. Default 1 MiB. */
  readonly batchBytesMax?: number;
}

/**
 * Batches of OCSF events over HTTPS, POST with gzip. Any 2xx is the acknowledgement; 400, 413 and 422 refuse the batch for
 * its content; everything else (401, 404, 429, 5xx, a redirect, no answer) is asked again later, `Retry-After` respected: a sink
 * that is set up wrongly must not cost events.
 *
 * @throws {AuditError} `ERR_AUDIT_SINK_INVALID`
 */
export function httpsSink(options: HttpsSinkOptions): ExportSink {
  const { format = 'ndjson', batchCountMax = 500, batchBytesMax = 1024 * 1024 } = options;
  const http = httpPost(options);
  const isLines = format === 'ndjson';
  return {
    batchCountMax,
    batchBytesMax,
    send(batch, signal) {
      const lines = batch.map(({ json }) => json);
      return http.post(isLines ? `${lines.join('\n')}\n` : `[${lines.join(',')}]`, {
        contentType: isLines ? 'application/x-ndjson' : 'application/json',
        signal,
      });
    },
    close: () => http.close(),
  };
}
