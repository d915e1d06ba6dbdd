import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Connection, EndCause, Exchange, RequestHead } from '../../exchange.ts';
import { dispatchIdentified } from './dispatch-identified.ts';
import { type Downstream, responseDownstream, socketDownstream } from './downstream.ts';
import { createRelay } from './relay.ts';
import { relayUpgrade } from './relay-upgrade.ts';
import { type HoldableContent, requestContent } from './request-content.ts';
import { sendVerbatim } from './send-verbatim.ts';
import type { Upstreams } from './upstreams.ts';

/** An exchange over one HTTP/1.1 request and its response. */
export function requestExchange(
  request: IncomingMessage,
  response: ServerResponse,
  connection: Connection,
  upstreams: Upstreams,
): Exchange {
  const downstream = responseDownstream(response);
  let cutOff: Cut | undefined;
  // RFC 9110 §10.1.1: who holds its body back sends it when somebody wants to read it.
  let isContinued = false;
  const onContinue = () => {
    if (isContinued || !isExpecting(request) || response.headersSent) return;
    isContinued = true;
    response.writeContinue();
  };
  let content: HoldableContent | undefined;
  return {
    head: headOf(request),
    connection,
    isUpgrade: false,
    get content() {
      content ??= requestContent(request, response, onContinue);
      return content;
    },
    get isGone() {
      return downstream.isGone;
    },
    answer: (answer) => downstream.answer(answer),
    forward(plan, observer) {
      const upstream = upstreams.for(plan.target);
      const isPlaced = upstream.enter();
      const method = request.method ?? 'GET';
      const relay = createRelay(method, downstream, plan, observer, () => {
        if (isPlaced) upstream.leave();
      });
      cutOff = relay.cut;
      if (!isPlaced) {
        relay.fail('overloaded', 'too many requests to this resource');
        return;
      }
      if (plan.manner === 'verbatim') sendVerbatim(request, plan, upstream, relay, onContinue);
      else dispatchIdentified(request, plan, upstream, relay, { held: content?.held, onContinue });
    },
    cut: (cause, detail) => (cutOff ? cutOff(cause, detail) : downstream.abort()),
  };
}

/** An exchange over a socket that asks to be upgraded, or to become a tunnel. */
export function socketExchange(
  request: IncomingMessage,
  socket: Duplex,
  early: Buffer,
  connection: Connection,
  upstreams: Upstreams,
): Exchange {
  const downstream: Downstream = socketDownstream(socket);
  let cutOff: Cut | undefined;
  socket.on('error', () => {}); // told by 'close'; without a listener it would end the process
  return {
    head: headOf(request),
    connection,
    isUpgrade: true,
    get isGone() {
      return downstream.isGone;
    },
    answer: (answer) => downstream.answer(answer),
    forward(plan, observer) {
      const upstream = upstreams.for(plan.target);
      if (!upstream.enter()) {
        const relay = createRelay('GET', downstream, plan, observer, () => {});
        relay.fail('overloaded', 'too many requests to this resource');
        return;
      }
      const leave = () => upstream.leave();
      cutOff = relayUpgrade(request, socket, early, plan, observer, upstream, leave).cut;
    },
    cut: (cause, detail) => (cutOff ? cutOff(cause, detail) : downstream.abort()),
  };
}

type Cut = (cause: EndCause, detail: string) => void;

function headOf(request: IncomingMessage): RequestHead {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    rawHeaders: request.rawHeaders,
  };
}

function isExpecting(request: IncomingMessage): boolean {
  return request.headers.expect?.toLowerCase() === '100-continue';
}
