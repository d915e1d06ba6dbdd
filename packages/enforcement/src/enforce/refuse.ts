import { compactId, invariant } from '@countersign/model';
import { EnforcementError } from '../enforcement-error.ts';
import type { Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { outcomeEvent } from '../record/event-bodies.ts';
import type { Verdict } from '../verdict.ts';
import { refusalAnswer } from './refusal-answer.ts';

/**
 * Answers a request that was not permitted, when decision and outcome are on disk.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
 */
export async function refuse(verdict: Verdict, context: PointContext): Promise<void> {
  const { exchange, description, identity, ruling } = verdict;
  const { refusal } = ruling;
  invariant(refusal, 'what is not permitted has a reason');
  const answer = refusalAnswer({
    reason: refusal.reason,
    eventId: verdict.eventId,
    scheme: schemeOf(verdict),
    ...(refusal.reason === 'scope-insufficient' &&
      description.kind === 'description' && { scopes: description.operation.scopes }),
    ...(identity.kind === 'refusal' && identity.nonce && { nonce: identity.nonce }),
    ...(refusal.challenge && { challenge: refusal.challenge }),
    ...(description.kind === 'refusal' && description.methods && { methods: description.methods }),
  });
  const index = context.recorder.append(
    outcomeEvent(verdict, {
      status: answer.status,
      bytes: Buffer.byteLength(answer.body),
      forwarded: false,
      nowMs: context.now(),
    }),
  );
  await context.recorder.durable(index);
  exchange.answer(answer);
}

/** Fails closed: no record can be made, or a verb broke. The answer says only that. */
export function refuseUnrecorded(exchange: Exchange, error: unknown, context: PointContext): void {
  const isLog =
    error instanceof EnforcementError && error.code === 'ERR_ENFORCEMENT_LOG_UNAVAILABLE';
  // The recorder has told of its own failure.
  if (!isLog) context.alarm('internal-error', error instanceof Error ? error.message : 'unknown');
  context.counters.refused++;
  exchange.answer(
    refusalAnswer({ reason: 'log-unavailable', eventId: compactId(), scheme: 'both' }),
  );
}

function schemeOf({ identity }: Verdict) {
  if (identity.kind === 'refusal') return identity.scheme;
  if (identity.caller || !identity.hasToken) return 'mutual-tls';
  return identity.keyProof === 'dpop' ? 'DPoP' : 'Bearer';
}
