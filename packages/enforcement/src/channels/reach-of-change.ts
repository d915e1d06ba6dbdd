import type { ReplicaChange } from '@countersign/decision';

/**
 * How far a change of knowledge reaches into what is open. Whether everything still stands is asked
 * of every channel, because that costs a few lookups; deciding again costs more and is asked where
 * the answer can have changed.
 */
export interface Reach {
  /** Whose open requests must be decided again: everybody's, or those of these subjects, devices and sessions. */
  readonly decisions: 'all' | ReadonlySet<string>;
}

/** Everything is asked again. */
export const REACHES_ALL: Reach = { decisions: 'all' };

/** The reach of a change that a replica took. */
export function reachOfChange(change: ReplicaChange): Reach {
  if (change.kind === 'bundle' || change.change === 'snapshot') return REACHES_ALL;
  const subjects = new Set<string>();
  for (const fact of change.change.puts) {
    // Policies follow attributes and parents from entity to entity, so these may concern anybody.
    if (fact.kind === 'subject' || fact.kind === 'entity') return REACHES_ALL;
    // A risk is asked for in the context of its own subject's requests, and nowhere else.
    if (fact.kind === 'risk') subjects.add(fact.subject);
    // So is a posture, in that of requests from its device.
    if (fact.kind === 'device') subjects.add(fact.id);
    // The scopes that are left are in the context of the session's own.
    if (fact.kind === 'narrowing') subjects.add(fact.session);
  }
  for (const key of change.change.removes) {
    const [kind, subject = ''] = key.split(' ');
    if (kind === 'subject' || kind === 'entity') return REACHES_ALL;
    if (kind === 'risk' || kind === 'device' || kind === 'narrowing') subjects.add(subject);
  }
  return { decisions: subjects };
}
