import { compactId, type DenialReason, invariant } from '@countersign/model';
import { acceptSignature } from '@countersign/sdk';
import { readHeaderFields } from '../describe/header-fields.ts';
import { EnforcementError } from '../enforcement-error.ts';
import type { Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { outcomeEvent } from '../record/event-bodies.ts';
import type { Verdict } from '../verdict.ts';
import { refuseBrowser } from '../web/refuse-browser.ts';
import { hardened } from '../web/web-answers.ts';
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
  const web = context.authentication.web.get(exchange.connection.listener);
  const plain = refusalAnswer({
    reason: refusal.reason,
    eventId: verdict.eventId,
    scheme: web ? 'cookie' : schemeOf(verdict),
    ...(refusal.reason === 'scope-insufficient' &&
      description.kind === 'description' && { scopes: description.operation.scopes }),
    ...(identity.kind === 'refusal' && identity.nonce && { nonce: identity.nonce }),
    ...acceptedSignature(verdict, refusal.reason),
    ...(refusal.challenge && { challenge: refusal.challenge }),
    ...(refusal.retryAfterSeconds && { retryAfterSeconds: refusal.retryAfterSeconds }),
    ...(description.kind === 'refusal' && description.methods && { methods: description.methods }),
  });
  const answer = web ? await refuseBrowser(verdict, plain, web, context.now()) : plain;
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

/** RFC 9421 §5: what the caller must sign, where that would have helped. */
function acceptedSignature(
  { exchange, route }: Verdict,
  reason: DenialReason,
): { readonly acceptSignature?: string } {
  const { evidenceLevel = 'E0' } = route?.surface ?? {};
  if (evidenceLevel < 'E2' || !SIGNED_ANEW.has(reason)) return {};
  const { head } = exchange;
  const message = {
    kind: 'request',
    method: head.method,
    targetUri: '',
    fields: head.rawHeaders,
  } as const;
  const { hasContent } = readHeaderFields(head.rawHeaders);
  return { acceptSignature: acceptSignature(message, { hasContent }) };
}

const SIGNED_ANEW: ReadonlySet<DenialReason> = new Set([
  'evidence-insufficient',
  'signature-invalid',
  'signature-replayed',
  'content-mismatch',
]);

/** Fails closed: no record can be made, or a verb broke. The answer says only that. */
export function refuseUnrecorded(exchange: Exchange, error: unknown, context: PointContext): void {
  const isLog =
    error instanceof EnforcementError && error.code === 'ERR_ENFORCEMENT_LOG_UNAVAILABLE';
  // The recorder has told of its own failure.
  if (!isLog) context.alarm('internal-error', error instanceof Error ? error.message : 'unknown');
  context.counters.refused++;
  const isForBrowser = context.authentication.web.has(exchange.connection.listener);
  const scheme = isForBrowser ? 'cookie' : 'both';
  const answer = refusalAnswer({ reason: 'log-unavailable', eventId: compactId(), scheme });
  exchange.answer(isForBrowser ? hardened(answer) : answer);
}

function schemeOf({ identity }: Verdict) {
  if (identity.kind === 'refusal') return identity.scheme;
  if (identity.caller || !identity.hasToken) return 'mutual-tls';
  return identity.keyProof === 'dpop' ? 'DPoP' : 'Bearer';
}
