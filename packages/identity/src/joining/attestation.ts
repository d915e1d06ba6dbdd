import type { JoinRule } from '@countersign/model';
import { type Refusal, refusal } from '../refusal.ts';

/** Who proved what, and whom that makes of it. */
export interface Attested {
  readonly isGranted: true;
  readonly kind: JoinRule['kind'];
  readonly spiffeId: string;
  /** What was shown, by a name that no other has: both hashes of a certificate, a pod's uid. */
  readonly credential: string;
  /** Other names that it may be kept by. */
  readonly aliases?: readonly string[];
  /** The same in words. */
  readonly shown: string;
  /** By what it joined, in words for the people of the host: `identity explain` shows them. */
  readonly words: string;
  /** For the record. */
  readonly detail: Readonly<Record<string, string>>;
}

/** A way to join, and whose it is. */
export interface JoinCandidate<Rule extends JoinRule = JoinRule> {
  readonly spiffeId: string;
  readonly rule: Rule;
}

/**
 * The one subject that matching candidates lead to.
 *
 * @param shown what was shown, for the record
 */
export function oneSubject<Rule extends JoinRule>(
  matching: readonly JoinCandidate<Rule>[],
  shown: string,
): JoinCandidate<Rule> | Refusal {
  const [first] = matching;
  if (first === undefined) {
    return refusal('join-unregistered', `found ${shown}, expected one that a registration names`);
  }
  const subjects = new Set(matching.map(({ spiffeId }) => spiffeId));
  // Whichever were taken, the other's registration would say something else.
  if (subjects.size > 1) {
    return refusal('join-ambiguous', `found ${shown}, which is ${[...subjects].join(' and ')}`);
  }
  return first;
}
