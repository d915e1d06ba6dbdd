import { invariant } from '@countersign/model';
import { openExchangeChannel } from '../channels/exchange-channel.ts';
import type {
  Answer,
  EndCause,
  ForwardFailure,
  ForwardObserver,
  ForwardPlan,
} from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { closureEvent, outcomeEvent } from '../record/event-bodies.ts';
import type { Verdict } from '../verdict.ts';
import { browserPlan } from '../web/forward-browser.ts';
import { browserFailure } from '../web/refuse-browser.ts';
import { gatewayAnswer, refusalAnswer } from './refusal-answer.ts';

const STRIPPED_EVERYWHERE: ReadonlySet<string> = new Set(['countersign-event-id']);
const SIGNATURE_FIELDS: ReadonlySet<string> = new Set([
  'signature',
  'signature-input',
  'transaction-assertion',
  'token-digest',
]);
/** A transaction token must not leave the trust domain, even when a resource echoes it. */
const STRIPPED_AT_EDGE: ReadonlySet<string> = new Set(['countersign-event-id', 'txn-token']);

/**
 * Sends a permitted request on, in the caller's verified name only, and the answer back when its
 * outcome is on disk.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
 */
export async function forwardIdentified(verdict: Verdict, context: PointContext): Promise<void> {
  const { exchange, route } = verdict;
  invariant(route, 'only a routed request is permitted');
  const minted = transactionTokenOf(verdict, context);
  const token = typeof minted === 'string' ? minted : await minted;
  const channel = openExchangeChannel(verdict, context);
  // The caller may have left, and facts may have changed, while the decision went to disk.
  const fault = channel.recheckFully(context.now());
  if (fault) {
    context.channels.remove(channel);
    exchange.cut(fault.cause, fault.detail);
    record(verdict, context, { failure: fault.cause });
    return;
  }
  if (exchange.isGone) {
    context.channels.remove(channel);
    record(verdict, context, { failure: 'client-abort' });
    return;
  }
  exchange.forward(planOf(verdict, token, context), createObserver(verdict, channel, context));
}

function planOf(verdict: Verdict, token: string, { authentication }: PointContext): ForwardPlan {
  const { exchange, route } = verdict;
  invariant(route, 'only a routed request is permitted');
  const { listener } = exchange.connection;
  const plan = {
    target: route.target,
    manner: 'identified',
    headers: identifiedHeaders(verdict),
    ownHeaders: ['Txn-Token', token],
    answerHeaders: ['Countersign-Event-Id', verdict.eventId],
    answerHeadersStripped: authentication.edgeListeners.has(listener)
      ? STRIPPED_AT_EDGE
      : STRIPPED_EVERYWHERE,
  } as const;
  const web = authentication.web.get(listener);
  return web ? browserPlan(plan, verdict, web) : plan;
}

function isForBrowser({ exchange }: Verdict, { authentication }: PointContext): boolean {
  return authentication.web.has(exchange.connection.listener);
}

/** One token per transaction: minted where it comes in, passed on unmodified from there. */
function transactionTokenOf(verdict: Verdict, context: PointContext): Promise<string> | string {
  const { identity, description, exchange, request, route, transactionId, transactionToken } =
    verdict;
  if (identity.kind === 'identity' && identity.transaction && transactionToken) {
    return transactionToken;
  }
  invariant(
    identity.kind === 'identity' &&
      description.kind === 'description' &&
      request &&
      route &&
      transactionId,
    'only a described request of somebody is permitted',
  );
  return context.minter.mint(transactionId, {
    ...{ identity, description, scopes: request.scopes },
    surface: route.surface.name,
    ip: exchange.connection.ip,
    nowMs: context.now(),
  });
}

/** The caller's headers without any that say who it is. */
function identifiedHeaders({ exchange, route, signature }: Verdict): readonly string[] {
  const raw = exchange.head.rawHeaders;
  const headers: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    // Verified here, and good here only: the target and the token that it covers end at this point.
    if (signature.record && SIGNATURE_FIELDS.has(name.toLowerCase())) continue;
    if (!route?.identityHeaders.isIdentity(name)) headers.push(name, raw[index + 1] as string);
  }
  return headers;
}

function createObserver(
  verdict: Verdict,
  channel: ReturnType<typeof openExchangeChannel>,
  context: PointContext,
): ForwardObserver {
  const { recorder, now } = context;
  let isLengthKnown = false;
  let isRecorded = true;

  const unrecordable = (): Answer => {
    isRecorded = false;
    return refusalAnswer({
      reason: 'log-unavailable',
      eventId: verdict.eventId,
      scheme: 'mutual-tls',
    });
  };

  return {
    async onHead(status, bytes) {
      isLengthKnown = bytes !== undefined;
      try {
        // INVARIANT: no answer leaves before its outcome is on disk, and with it the decision,
        // which was appended before.
        const outcome = { status, bytes, forwarded: true, nowMs: now() };
        await recorder.durable(recorder.append(outcomeEvent(verdict, outcome)));
      } catch {
        return unrecordable();
      }
      if (!isLengthKnown || verdict.exchange.isUpgrade) {
        channel.startStreaming();
        // What changed before it was a stream reached it only half.
        const fault = channel.recheckFully(now());
        if (fault) verdict.exchange.cut(fault.cause, fault.detail);
      }
      return undefined;
    },
    async onFailure(failure, detail, wasSent) {
      context.channels.remove(channel);
      if (failure === 'upstream-unauthenticated') context.alarm(failure, detail);
      const plain = failureAnswer(failure, verdict.eventId);
      const answer = isForBrowser(verdict, context) ? browserFailure(verdict, plain) : plain;
      try {
        const status = isCutOff(failure) ? 0 : answer.status;
        const outcome = { status, forwarded: wasSent, failure, nowMs: now() };
        await recorder.durable(recorder.append(outcomeEvent(verdict, outcome)));
        return answer;
      } catch {
        return unrecordable();
      }
    },
    onEnd(cause, bytes, detail) {
      context.channels.remove(channel);
      // A known length that came through whole is in the outcome already.
      if (!isRecorded || (isLengthKnown && cause === 'complete' && !verdict.exchange.isUpgrade)) {
        return;
      }
      recorder.tryAppend(closureEvent(verdict, { cause, bytes, detail, nowMs: now() }));
    },
  };
}

function record(
  verdict: Verdict,
  { recorder, now }: PointContext,
  { failure }: { readonly failure: string },
): void {
  const outcome = { status: 0, forwarded: false, failure, nowMs: now() };
  recorder.tryAppend(outcomeEvent(verdict, outcome));
}

/** Failures after which nobody is there to be answered. */
function isCutOff(failure: ForwardFailure): failure is Extract<ForwardFailure, EndCause> {
  switch (failure) {
    case 'client-abort':
    case 'revoked':
    case 'expired':
    case 'policy-changed':
    case 'shutdown':
      return true;
    default:
      return false;
  }
}

/** What a caller hears of a resource that did not answer. */
export function failureAnswer(failure: ForwardFailure, eventId: string | undefined): Answer {
  switch (failure) {
    case 'upstream-timeout':
      return gatewayAnswer('timeout', eventId);
    case 'overloaded':
      return gatewayAnswer('overloaded', eventId);
    case 'upstream-reset':
      return gatewayAnswer('broken', eventId);
    default:
      return gatewayAnswer('unreachable', eventId);
  }
}
