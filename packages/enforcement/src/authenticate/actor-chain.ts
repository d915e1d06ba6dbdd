import type { Subject } from '@countersign/model';
import { LIMITS } from '../limits.ts';
import { type Claims, objectClaim, subjectClaim } from './claims.ts';

/** The agents of an `act` claim, the outermost first (RFC 8693 §4.1); nothing when it is malformed. */
export function actorChain(claims: Claims): readonly Subject[] | undefined {
  const actors: Subject[] = [];
  let at: Claims = claims;
  while (at['act'] !== undefined) {
    const act = objectClaim(at, 'act');
    const actor = act && subjectClaim(act);
    if (!actor || actors.length === LIMITS.actors) return undefined;
    actors.push(actor);
    at = act;
  }
  return actors;
}

/** The `act` claim that {@link actorChain} reads back; nothing for no actors. */
export function actClaim(actors: readonly Subject[]): Record<string, unknown> | undefined {
  let claim: Record<string, unknown> | undefined;
  for (const actor of actors.toReversed()) {
    claim = claim ? { sub: actor.id, act: claim } : { sub: actor.id };
  }
  return claim;
}
