import type { IncomingMessage, ServerResponse } from 'node:http';
import { PAGE_HEADERS } from './page-headers.ts';

/** No response of an authenticator is longer. */
const BODY_BYTES_MAX = 64 * 1024;

/** What a browser is answered. */
export interface Answer {
  readonly status: number;
  readonly html?: string;
  readonly json?: unknown;
  /** `set-cookie`. */
  readonly cookies?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** A browser's request, and what is answered. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly ip: string;
}

/** An answer that says no more than that it did not work. */
export function refusedAnswer(status: number, error: string): Answer {
  return { status, json: { error } };
}

/**
 * Whether a request that changes something was made by our own page: the browser says from where, and a form of another
 * site cannot send JSON.
 *
 * @see Fetch Standard, `Origin`; Fetch Metadata, `Sec-Fetch-Site`
 */
export function isFromOurPage({ headers }: IncomingMessage, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return (
    headers.origin === origin &&
    (site === undefined || site === 'same-origin') &&
    /^application\/json(\s*;|$)/i.test(headers['content-type'] ?? '')
  );
}

/** The JSON object of a request's content; nothing when it is none, or too long. */
export async function readJson(
  request: IncomingMessage,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The value of a cookie; nothing when it came twice. */
export function cookieOf({ headers }: IncomingMessage, name: string): string | undefined {
  const values = (headers.cookie ?? '')
    .split(';')
    .map((each) => each.trim())
    .filter((each) => each.startsWith(`${name}=`));
  return values.length === 1 ? values[0]?.slice(name.length + 1) : undefined;
}

/** RFC 6265bis §4.1.3.2: `__Host-` keeps it to this host, path `/`, and TLS. */
export function setCookie(name: string, value: string, maxAgeSeconds: number): string {
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}`;
}

/** Writes an answer, with the headers of our pages. */
export function send(response: ServerResponse, answer: Answer): void {
  const { status, html, json, cookies = [], headers = {} } = answer;
  const body = html ?? (json === undefined ? '' : JSON.stringify(json));
  response.writeHead(status, {
    ...PAGE_HEADERS,
    'content-type': html === undefined ? 'application/json' : 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
    ...(cookies.length > 0 && { 'set-cookie': [...cookies] }),
  });
  response.end(body);
}
