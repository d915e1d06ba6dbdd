import type { Replica } from '@countersign/decision';
import { type FollowOptions, followFeed } from '@countersign/state';

/**
 * Follows the authority's feed into a replica, and believes nothing of a shared past: every connection
 * begins with all facts and the bundle in force.
 *
 * An authority that was restored from a backup gives sequence numbers anew. A point that went on from its
 * cursor would meet, under numbers that it knows, changes that it does not have; a revocation among them
 * would never reach it, and each beat would say that all is well. So a change is only ever put on
 * top of facts that came over the same connection.
 */
export function followAuthority(
  replica: Pick<Replica, 'accept'>,
  options: Omit<FollowOptions, 'accept' | 'cursor'>,
): ReturnType<typeof followFeed> {
  return followFeed({
    ...options,
    // 0 asks for a snapshot, and for the bundle that is in force, an older one included: its refusal is an alarm.
    cursor: () => ({ factSequence: 0, bundleSequence: 0 }),
    async accept(line) {
      const result = await replica.accept(line);
      if (result.taken || result.refusal !== 'sequence-older' || line.startsWith('{"policy"')) {
        return result;
      }
      // What follows refused facts is of a history that we do not have: begin again, until it is past ours.
      return { ...result, refusal: 'sequence-gap' };
    },
  });
}
