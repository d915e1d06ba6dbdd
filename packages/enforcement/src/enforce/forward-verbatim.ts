import { openWatchedChannel } from '../channels/exchange-channel.ts';
import { REACHES_ALL } from '../channels/reach-of-change.ts';
import type { SurfaceRoute } from '../describe/surface-routes.ts';
import { EnforcementError } from '../enforcement-error.ts';
import type { Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { closureEvent, outcomeEvent } from '../record/event-bodies.ts';
import type { EventBody } from '../record/recorder.ts';
import type { Verdict } from '../verdict.ts';
import { failureAnswer } from './forward-identified.ts';

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Sends a request on as it came, at once. `judge` runs beside it and only ends up in the record:
 * whatever it says or throws, the caller and the resource see the same.
 */
export function forwardVerbatim(
  exchange: Exchange,
  route: SurfaceRoute,
  context: PointContext,
  judge: () => Promise<Verdict>,
): void {
  const channel = openWatchedChannel(exchange, route, context);
  let isLengthKnown = false;
  // Set below, before anything of the resource can arrive: forwarding is asynchronous.
  let judged: Promise<Verdict | undefined> = Promise.resolve(undefined);

  const record = (bodyOf: (verdict: Verdict) => EventBody): void => {
    // After the decision: the record keeps the order of the verbs.
    judged = judged.then((verdict) => {
      if (verdict) context.recorder.tryAppend(bodyOf(verdict));
      return verdict;
    });
  };

  exchange.forward(
    {
      target: route.target,
      manner: 'verbatim',
      headers: exchange.head.rawHeaders,
      answerHeaders: [],
      answerHeadersStripped: NOTHING,
    },
    {
      onHead(status, bytes) {
        isLengthKnown = bytes !== undefined;
        if (!isLengthKnown || exchange.isUpgrade) {
          channel.startStreaming();
          // The surface may have been switched to enforce while this was on its way.
          const fault = channel.recheck(context.now(), REACHES_ALL);
          if (fault) exchange.cut(fault.cause, fault.detail);
        }
        const nowMs = context.now();
        record((verdict) => outcomeEvent(verdict, { status, bytes, forwarded: true, nowMs }));
        return undefined;
      },
      onFailure(failure, _detail, wasSent) {
        context.channels.remove(channel);
        const answer = failureAnswer(failure, undefined);
        const status = exchange.isGone ? 0 : answer.status;
        const nowMs = context.now();
        record((verdict) => outcomeEvent(verdict, { status, forwarded: wasSent, failure, nowMs }));
        return answer;
      },
      onEnd(cause, bytes, detail) {
        context.channels.remove(channel);
        if (isLengthKnown && cause === 'complete' && !exchange.isUpgrade) return;
        const nowMs = context.now();
        record((verdict) => closureEvent(verdict, { cause, bytes, detail, nowMs }));
      },
    },
  );

  judged = judge().catch((error: unknown) => {
    context.counters.unrecorded++;
    const isLog =
      error instanceof EnforcementError && error.code === 'ERR_ENFORCEMENT_LOG_UNAVAILABLE';
    if (!isLog) context.alarm('internal-error', error instanceof Error ? error.message : 'unknown');
    return undefined;
  });
}
