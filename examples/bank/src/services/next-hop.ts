import type { IncomingHttpHeaders } from 'node:http';
import { withTransaction } from '@countersign/sdk';
import { type Dispatcher, request } from 'undici';
import { readBounded } from '../http/read-bounded.ts';
import { Refusal } from './problem.ts';

/** What the next service answered. */
export interface NextHopAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One call to the next service, in the transaction of the request that it serves. */
export interface NextHopCall {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  /** Headers of the request that this call serves: its transaction goes along. */
  readonly incoming: IncomingHttpHeaders;
}

/** Calls the next service through the enforcement point in front of it. */
export type NextHop = (call: NextHopCall) => Promise<NextHopAnswer>;

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS = 10_000;

/**
 * Makes calls to the service behind `origin`, over `dispatcher` (the workload's own mTLS).
 *
 * The returned function throws {@link Refusal}: 403 when the point in front refused the call in
 * the subject's name, 502 when it could not be reached or answered out of bounds. Nothing is
 * retried here: only whoever began the transaction knows whether that is safe.
 */
export function nextHop(options: {
  name: string;
  origin: string;
  dispatcher: Dispatcher;
}): NextHop {
  const { name, origin, dispatcher } = options;
  return async ({ method, path, body, incoming }) => {
    const content = body === undefined ? {} : { 'content-type': 'application/json' };
    const headers = withTransaction({ accept: 'application/json', ...content }, incoming);
    let status: number;
    let text: string;
    try {
      const answer = await request(`${origin}${path}`, {
        dispatcher,
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      status = answer.statusCode;
      text = await readBounded(answer.body, ANSWER_BYTES_MAX);
    } catch (cause) {
      throw new Refusal(502, `${name} did not answer`, undefined, { cause });
    }
    if (status === 401 || status === 403) {
      throw new Refusal(403, `refused at ${name}`, 'a point further in refused this call');
    }
    return { status, body: parse(name, status, text) };
  };
}

function parse(name: string, status: number, text: string): unknown {
  if (status >= 500) throw new Refusal(502, `${name} did not answer`);
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    throw new Refusal(502, `${name} did not answer in JSON`, undefined, { cause });
  }
}
