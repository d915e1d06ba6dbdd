import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { ForwardPlan } from '../../exchange.ts';
import { LIMITS } from '../../limits.ts';
import {
  endToEndHeaders,
  fieldPairs,
  headerValue,
  withoutIdleTrailer,
} from './end-to-end-headers.ts';
import type { Relay } from './relay.ts';
import { hasBody } from './request-body.ts';
import { upstreamFailure } from './upstream-failure.ts';
import { originOf, type Upstream } from './upstreams.ts';

/** Its place, case and presence stay as they came: the framing of the body is the caller's. */
const KEEP: ReadonlySet<string> = new Set(['transfer-encoding']);

/**
 * Sends a request by Node's own client, which takes header lines as a list and writes them as they
 * are: order, case, duplicates, `Host` and `Expect` included. undici would rearrange them.
 */
export function sendVerbatim(
  request: IncomingMessage,
  plan: ForwardPlan,
  upstream: Upstream,
  relay: Relay,
  onContinue: () => void,
): void {
  const headers = endToEndHeaders(plan.headers, { keep: KEEP });
  // A method that usually has a body, without one: Node would make it chunked.
  if (!hasBody(request) && WITH_BODY.has(request.method ?? '')) {
    if (request.headers['content-length'] === undefined) headers.push('Content-Length', '0');
  }
  const outgoing = openRequest(request, headers, upstream, { agent: upstream.agent() });
  let answer: IncomingMessage | undefined;
  let wasSent = false;
  relay.attach({
    pause: () => answer?.pause(),
    resume: () => answer?.resume(),
    abort: () => outgoing.destroy(),
  });
  outgoing.setTimeout(LIMITS.upstreamConnectTimeoutMs + LIMITS.upstreamHeadTimeoutMs, () => {
    if (!answer) outgoing.destroy(Object.assign(new Error('no head'), { code: HEAD_TIMEOUT }));
  });
  const sent = () => {
    wasSent = true;
    relay.sent();
  };
  outgoing.on('socket', (socket) => {
    if (!socket.connecting) sent();
    else socket.once('connect', sent);
  });
  outgoing.on('continue', onContinue);
  outgoing.on('information', ({ statusCode, statusMessage, rawHeaders }) => {
    if (statusCode !== 100) relay.informational(statusCode, statusMessage, rawHeaders);
  });
  outgoing.on('response', (given) => {
    answer = given;
    relayAnswer(given, relay);
  });
  outgoing.on('error', (error) => {
    const { failure, detail } = upstreamFailure(error, wasSent);
    relay.fail(failure, detail);
  });
  if (hasBody(request)) {
    request.on('data', (chunk) => {
      if (outgoing.destroyed || outgoing.writableEnded) return;
      if (!outgoing.write(chunk)) request.pause();
    });
    request.on('end', () => {
      if (request.rawTrailers.length > 0) outgoing.addTrailers(fieldPairs(request.rawTrailers));
      outgoing.end();
    });
    outgoing.on('drain', () => request.resume());
    // An answer that comes early leaves the rest of the body to be read and dropped.
    outgoing.on('close', () => request.resume());
  } else {
    outgoing.end();
  }
}

const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
const HEAD_TIMEOUT = 'UND_ERR_HEADERS_TIMEOUT';

/** Hands an answer of Node's client to a relay. */
export function relayAnswer(answer: IncomingMessage, relay: Relay): void {
  relay.head(answer.statusCode ?? 502, answer.statusMessage ?? '', answer.rawHeaders);
  answer.on('data', (chunk) => relay.data(chunk));
  answer.on('end', () => relay.end(answer.rawTrailers));
  answer.on('error', (error) => relay.fail('upstream-reset', error.message));
  answer.on('close', () => {
    if (!answer.complete) relay.fail('upstream-reset', 'the resource broke off');
  });
}

/** Opens a request of Node's client with the header lines as given, but for an idle `Trailer`. */
export function openRequest(
  request: IncomingMessage,
  headers: readonly string[],
  upstream: Upstream,
  more: RequestOptions,
): ClientRequest {
  const { target } = upstream;
  const isChunked = /chunked/i.test(headerValue(headers, 'transfer-encoding') ?? '');
  const options: RequestOptions = {
    method: request.method,
    path: request.url,
    headers: withoutIdleTrailer(headers, isChunked),
    setHost: false,
    maxHeaderSize: LIMITS.headBytes * 4,
    ...(target.kind === 'unix'
      ? { socketPath: target.path }
      : { host: target.host, port: target.port }),
    ...more,
  };
  return originOf(target).startsWith('https:') ? httpsRequest(options) : httpRequest(options);
}
