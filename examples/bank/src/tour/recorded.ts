import type { DecisionEvent, Event } from '@countersign/model';
import type { ApiAnswer } from '../callers/call-api.ts';
import type { EventStream } from '../callers/follow-events.ts';
import type { TourEnvironment } from './scene.ts';

/** How long a scene waits for the record; collecting takes well under a second. */
export const RECORD_MS_MAX = 6_000;

/**
 * What became of a request, in words: the caller's status, and, unless it was let through, the reason
 * from the record. An answer that the record does not tell of says so: it is never taken for good.
 */
export async function outcomeWords(
  env: Pick<TourEnvironment, 'findEvent'>,
  answer: Pick<ApiAnswer, 'status' | 'eventId'>,
): Promise<string> {
  const { status, eventId } = answer;
  if (eventId === undefined) return `${status} without an event id`;
  const event = await env.findEvent(
    (each) => each.id === eventId && reasonOf(each) !== undefined,
    RECORD_MS_MAX,
  );
  if (!event) return `${status} not recorded`;
  const reason = reasonOf(event);
  const isLetThrough = event.kind === 'decision' && event.effect === 'permit' && event.enforced;
  return isLetThrough ? `${status}` : `${status} ${reason}`;
}

/** The reason that a refusal or a decision names. */
function reasonOf(event: Event): string | undefined {
  if (event.kind === 'decision') return event.reason;
  return event.kind === 'authentication' && event.result !== 'accepted' ? event.reason : undefined;
}

/** The decision under an event id. */
export async function decisionOf(
  env: Pick<TourEnvironment, 'findEvent'>,
  eventId: string | undefined,
): Promise<DecisionEvent | undefined> {
  if (eventId === undefined) return undefined;
  const event = await env.findEvent(
    ({ id, kind }) => id === eventId && kind === 'decision',
    RECORD_MS_MAX,
  );
  return event?.kind === 'decision' ? event : undefined;
}

/**
 * What the record says of the stream's end: one that merely broke off proves nothing. The stream runs
 * through two points, and the risk fact may come before the revocation: whichever point was first cut
 * it, for its session or for the policy that forbids whoever is at high risk.
 */
export async function streamEnd(
  env: Pick<TourEnvironment, 'findEvent'>,
  { eventId }: Pick<EventStream, 'eventId'>,
): Promise<string> {
  const txn = (await decisionOf(env, eventId))?.txn;
  if (txn === undefined) return 'closed, not recorded';
  const event = await env.findEvent(
    (each) =>
      each.kind === 'closure' &&
      each.txn === txn &&
      (each.cause === 'revoked' || each.cause === 'policy-changed'),
    RECORD_MS_MAX,
  );
  return event ? 'cut' : 'closed, not by us';
}

/** `3 x 400 path-ambiguous` when all are alike, else each kind with its count. */
export function tally(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} x ${word}`).join(', ');
}
