import type { Pace } from '../request-pace.ts';

/** All that one node asks for: a host with a thousand workloads asks for them all when an authority is tainted. */
export const NODE_PACE: Pace = { burst: 4096, perSecond: 64 };

/** JWT-SVIDs of a workload at a node, which keeps each for its audiences for half of its five minutes. */
export const JWT_PACE: Pace = { burst: 64, perSecond: 1 };

/**
 * X.509-SVIDs of a workload at a node: one in half of a lifetime and one at each start. The shortest lives are renewed every
 * few seconds.
 */
export function svidPace(ttlSeconds: number): Pace {
  return { burst: 16, perSecond: Math.max(1 / 30, 8 / ttlSeconds) };
}

/** Renewals of a subject, all of its replicas together: 1,024 of them in half of a lifetime. */
export function renewalPace(ttlSeconds: number): Pace {
  return { burst: 1024, perSecond: 2048 / ttlSeconds };
}
