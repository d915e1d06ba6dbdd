import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { EndCause, ForwardObserver, ForwardPlan } from '../../exchange.ts';
import { LIMITS } from '../../limits.ts';
import { headBytes, socketDownstream } from './downstream.ts';
import { endToEndHeaders } from './end-to-end-headers.ts';
import { createRelay } from './relay.ts';
import { openRequest, relayAnswer } from './send-verbatim.ts';
import { upstreamFailure } from './upstream-failure.ts';
import type { Upstream } from './upstreams.ts';

/** What is between the two ends of an upgraded exchange. */
export interface UpgradeRelay {
  cut(cause: EndCause, detail: string): void;
}

/**
 * Sends a WebSocket handshake on, and when the resource agrees, pipes bytes both ways. Nothing in
 * the stream is looked at; the registry ends it when what it rests on ends.
 */
export function relayUpgrade(
  request: IncomingMessage,
  client: Duplex,
  early: Buffer,
  plan: ForwardPlan,
  observer: ForwardObserver,
  upstream: Upstream,
  done: () => void,
): UpgradeRelay {
  // Until the resource agrees this is an exchange like any other.
  const relay = createRelay(
    request.method ?? 'GET',
    socketDownstream(client),
    plan,
    observer,
    done,
  );
  let tunnel: UpgradeRelay | undefined;
  const outgoing = openRequest(request, handshakeHeaders(plan), upstream, {
    ...upstream.tls(),
    agent: false, // the socket will be nobody else's
  });
  let answer: IncomingMessage | undefined;
  let wasSent = false;
  relay.attach({
    pause: () => answer?.pause(),
    resume: () => answer?.resume(),
    abort: () => {
      if (!tunnel) outgoing.destroy();
    },
  });
  outgoing.setTimeout(LIMITS.upstreamConnectTimeoutMs + LIMITS.upstreamHeadTimeoutMs, () => {
    if (!answer && !tunnel) outgoing.destroy(new Error('no head'));
  });
  outgoing.on('socket', () => {
    wasSent = true;
    relay.sent();
  });
  outgoing.on('response', (given) => {
    answer = given;
    relayAnswer(given, relay);
  });
  outgoing.on('error', (error) => {
    if (tunnel) return;
    const { failure, detail } = upstreamFailure(error, wasSent);
    relay.fail(failure, detail);
  });
  outgoing.on('upgrade', (agreed, resource, earlyAnswer) => {
    outgoing.setTimeout(0);
    if (relay.isOver) {
      resource.destroy();
      return;
    }
    // RFC 9110 §7.8: what was not offered must not be agreed to.
    if (plan.manner === 'identified' && agreed.headers.upgrade?.toLowerCase() !== 'websocket') {
      resource.destroy();
      relay.fail('upstream-reset', 'the resource agreed to another protocol than websocket');
      return;
    }
    relay.handOver();
    tunnel = openTunnel({ agreed, resource, earlyAnswer, client, early }, plan, observer, done);
  });
  outgoing.end();
  return { cut: (cause, detail) => (tunnel ?? relay).cut(cause, detail) };
}

/**
 * Identified headers have lost the hop-by-hop fields that make this a handshake; these are ours. No
 * protocol is offered but the one that was judged: a caller who also offers `h2c` would get a tunnel
 * through which whole requests pass that nobody decided.
 */
function handshakeHeaders(plan: ForwardPlan): readonly string[] {
  if (plan.manner === 'verbatim') return plan.headers;
  return [
    ...endToEndHeaders(plan.headers),
    ...(plan.ownHeaders ?? []),
    ...['Connection', 'Upgrade', 'Upgrade', 'websocket'],
  ];
}

interface Ends {
  readonly agreed: IncomingMessage;
  readonly resource: Duplex;
  readonly earlyAnswer: Buffer;
  readonly client: Duplex;
  readonly early: Buffer;
}

function openTunnel(
  { agreed, resource, earlyAnswer, client, early }: Ends,
  plan: ForwardPlan,
  observer: ForwardObserver,
  done: () => void,
): UpgradeRelay {
  let bytes = 0;
  let isOver = false;
  function finish(cause: EndCause, detail?: string): void {
    if (isOver) return;
    isOver = true;
    client.destroy();
    resource.destroy();
    observer.onEnd(cause, bytes, detail);
    done();
  }
  function start(): void {
    if (isOver) return;
    const kept = new Set(['upgrade', 'connection']);
    const headers = endToEndHeaders(agreed.rawHeaders, {
      keep: kept,
      strip: plan.answerHeadersStripped,
      isStripped: plan.isStripped,
    });
    client.write(
      headBytes(101, agreed.statusMessage ?? '', [...plan.answerHeaders, ...headers]),
      'latin1',
    );
    if (earlyAnswer.length > 0) client.write(earlyAnswer);
    bytes += earlyAnswer.length;
    if (early.length > 0) resource.write(early);
    resource.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    resource.pipe(client);
    client.pipe(resource);
  }
  endTogether(client, resource, 'client-abort', finish);
  endTogether(resource, client, 'upstream-reset', finish);
  // Not at once: the observer may cut the exchange off, and must then find the tunnel.
  const permission = Promise.resolve().then(() => observer.onHead(101, undefined));
  void permission.then((instead) => {
    if (isOver) return;
    if (!instead) return start();
    isOver = true;
    resource.destroy();
    socketDownstream(client).answer(instead);
    observer.onEnd('complete', 0);
    done();
  });
  return { cut: finish };
}

/**
 * An end that was announced is complete, once the other side has everything; any other is a break.
 * Half an end is not kept: a WebSocket closes both ways (RFC 6455 §7.1.1).
 */
function endTogether(
  one: Duplex,
  other: Duplex,
  broken: EndCause,
  finish: (cause: EndCause, detail?: string) => void,
): void {
  one.on('error', (error: Error) => finish(broken, error.message));
  one.on('end', () => {
    setTimeout(() => finish('complete'), LIMITS.halfCloseMs).unref();
  });
  one.on('close', () => {
    if (!one.readableEnded) finish(broken);
    else if (other.destroyed || other.writableFinished) finish('complete');
    else other.end(() => finish('complete'));
  });
}
