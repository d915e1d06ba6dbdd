import type { IncomingMessage } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ForwardPlan } from '../../exchange.ts';
import { LIMITS } from '../../limits.ts';
import { endToEndHeaders } from './end-to-end-headers.ts';
import type { Relay } from './relay.ts';
import { hasBody, requestBody } from './request-body.ts';
import { upstreamFailure } from './upstream-failure.ts';
import type { Upstream } from './upstreams.ts';

/** undici would refuse it; whoever holds the body back for it hears `100 Continue` from us. */
const STRIP: ReadonlySet<string> = new Set(['expect']);

/** Sends an identified request by undici's dispatcher, the cheapest way that gets everything right. */
export function dispatchIdentified(
  request: IncomingMessage,
  plan: ForwardPlan,
  upstream: Upstream,
  relay: Relay,
  content: {
    /** What was read already. */
    readonly held: Buffer | undefined;
    /** Called before the content is read. */
    readonly onContinue: () => void;
  },
): void {
  const stream =
    content.held || !hasBody(request) ? null : requestBody(request, content.onContinue);
  const body = content.held ?? stream;
  let controller: Dispatcher.DispatchController | undefined;
  let wasSent = false;
  relay.attach({
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
    abort: () => {
      stream?.destroy();
      controller?.abort(new Error('the exchange is over'));
    },
  });
  const fail = (error: unknown) => {
    const { failure, detail } = upstreamFailure(error, wasSent);
    relay.fail(failure, detail);
  };
  const options: Dispatcher.DispatchOptions = {
    path: request.url ?? '/',
    method: request.method ?? 'GET',
    headers: [...endToEndHeaders(plan.headers, { strip: STRIP }), ...(plan.ownHeaders ?? [])],
    body,
    headersTimeout: LIMITS.upstreamHeadTimeoutMs,
    bodyTimeout: 0,
  };
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(given) {
      controller = given;
      if (relay.isOver) given.abort(new Error('the exchange is over'));
      wasSent = true;
      relay.sent();
    },
    onResponseStart(given, status, _headers, message) {
      const raw = rawFields(given.rawHeaders);
      if (status < 200) relay.informational(status, message ?? '', raw);
      else relay.head(status, message ?? '', raw);
    },
    onResponseData: (_controller, chunk) => relay.data(chunk),
    onResponseEnd: (given) => relay.end(rawFields(given.rawTrailers)),
    onResponseError: (_controller, error) => fail(error),
  };
  try {
    upstream.dispatcher().dispatch(options, handler);
  } catch (error) {
    fail(error); // an expired SVID of ours, or a dispatcher that is full
  }
}

/** undici gives bytes; header fields are ISO-8859-1 on the wire (RFC 9110 §5.5). */
function rawFields(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((each) => (typeof each === 'string' ? each : each.toString('latin1')));
}
