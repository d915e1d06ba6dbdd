import { LIMITS as CEDAR_LIMITS, RAISE_LIMITS, SEEN_LIMITS } from '@countersign/cedar';
import { LIMITS as POINT_LIMITS } from '@countersign/enforcement';
import type { Bounds } from './limits-page.ts';

/**
 * The bounds that `docs/reference/limits.md` tells of.
 *
 * @param read gives the text of a file under `packages`
 */
export function allBounds(read: (path: string) => string): readonly Bounds[] {
  return [
    {
      of: 'an enforcement point',
      limits: POINT_LIMITS,
      source: read('enforcement/src/limits.ts'),
    },
    {
      of: 'Cedar policies, and of what they are asked about',
      limits: CEDAR_LIMITS,
      source: read('cedar/src/limits.ts'),
    },
    {
      of: 'looking for what would have turned a denial',
      limits: RAISE_LIMITS,
      source: read('cedar/src/explain/raise-finding.ts'),
    },
    {
      of: 'a value that an explanation shows',
      limits: SEEN_LIMITS,
      source: read('cedar/src/explain/seen-value.ts'),
    },
  ];
}
