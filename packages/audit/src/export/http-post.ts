import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Agent, request } from 'undici';
import { AuditError } from '../audit-error.ts';
import type { SinkAnswer } from './export-sink.ts';
import { retryAfterMs } from './retry-after.ts';

const ANSWER_BYTES_MAX = 64 * 1024;
const DETAIL_LENGTH_MAX = 300;
const TIMEOUT_MS = 30_000;
/** About what was sent, and no other request would fare better. RFC 9110 §15.5.1, .14, .21. */
const REFUSED = new Set([400, 413, 422]);

/** How an HTTP sink is reached. Secrets come as values: whoever composes reads them from their files. */
export interface HttpSinkOptions {
  /** `https:`; `http:` only to a loopback address. */
  readonly url: string;
  /** Authorities in PEM, instead of the system's. */
  readonly ca?: string;
  /** The exporter's own certificate and key, PEM, for mTLS. */
  readonly certificate?: string;
  readonly key?: string;
  /** Read for each request, so that a token may be renewed. */
  readonly bearerToken?: () => string | Promise<string>;
  /** Further header fields; values are no place for secrets. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Posts bodies to one place and says what the answer means. */
export interface HttpPost {
  /** `body` of a success: at most 64 KiB of it. */
  post(
    body: string,
    options: { readonly contentType: string; readonly signal: AbortSignal },
  ): Promise<SinkAnswer & { readonly body?: string }>;
  close(): Promise<void>;
}

/**
 * @throws {AuditError} `ERR_AUDIT_SINK_INVALID` for a URL that would send events in the clear over a network
 */
export function httpPost(options: HttpSinkOptions): HttpPost {
  const url = safeUrl(options.url);
  const { ca, certificate, key, now } = options;
  const agent = new Agent({
    // One batch at a time; a second connection would only let batches overtake one another.
    connections: 1,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: {
      timeout: TIMEOUT_MS,
      minVersion: 'TLSv1.2',
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
    },
  });
  return {
    async post(body, { contentType, signal }) {
      const token = await options.bearerToken?.();
      const {
        statusCode,
        headers,
        body: stream,
      } = await request(url, {
        dispatcher: agent,
        method: 'POST',
        signal,
        headers: {
          ...options.headers,
          'content-type': contentType,
          'content-encoding': 'gzip',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: await promisify(gzip)(body, { level: 1 }),
      });
      const answer = await bounded(stream);
      if (statusCode >= 200 && statusCode < 300) return { kind: 'taken', body: answer };
      const code = `http-${statusCode}`;
      const detail = oneLine(answer);
      if (REFUSED.has(statusCode)) return { kind: 'refused', code, detail };
      const afterMs = retryAfterMs(headers['retry-after'], now());
      return { kind: 'later', code, detail, ...(afterMs !== undefined && { afterMs }) };
    },
    close: () => agent.destroy(),
  };
}

function safeUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLoopback =
    url !== undefined && /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback)) {
    if (url.username === '' && url.password === '') return url;
  }
  throw new AuditError(
    'ERR_AUDIT_SINK_INVALID',
    `could not export: found '${text.replace(/\/\/[^/]*@/, '//***@')}', expected an https URL without credentials, or http to loopback`,
  );
}

/** The rest of a longer answer is not read: the connection ends with it. */
async function bounded(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, ANSWER_BYTES_MAX);
}

/** What the sink says goes to an alarm: no line breaks, no control characters. */
function oneLine(text: string): string {
  return (
    text
      .replace(/[\p{C}\s]+/gu, ' ')
      .trim()
      .slice(0, DETAIL_LENGTH_MAX) || 'no further words'
  );
}
