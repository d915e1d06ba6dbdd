import { LIMITS } from '../limits.ts';

/**
 * Counts failed verifications by peer, because a signature that fails costs as much as a good one.
 * Only tokens that were not verified before pass here, and proofs under a name of their own (address
 * and key): a peer that shares an address with an attacker keeps what it has.
 */
export interface FailureThrottle {
  isThrottled(peer: string, nowMs: number): boolean;
  failed(peer: string, nowMs: number): void;
}

interface Count {
  readonly sinceMs: number;
  failures: number;
}

/** An empty table; bounds: {@link LIMITS}.failures or another, failureWindowMs, failingPeers. */
export function createFailureThrottle(failuresMax: number = LIMITS.failures): FailureThrottle {
  const counts = new Map<string, Count>();
  return {
    isThrottled(peer, nowMs) {
      const count = counts.get(peer);
      if (!count) return false;
      if (nowMs - count.sinceMs >= LIMITS.failureWindowMs) {
        counts.delete(peer);
        return false;
      }
      return count.failures >= failuresMax;
    },
    failed(peer, nowMs) {
      const count = counts.get(peer);
      if (count && nowMs - count.sinceMs < LIMITS.failureWindowMs) {
        count.failures++;
        return;
      }
      counts.delete(peer);
      if (counts.size >= LIMITS.failingPeers) {
        const [oldest] = counts.keys();
        if (oldest !== undefined) counts.delete(oldest);
      }
      counts.set(peer, { sinceMs: nowMs, failures: 1 });
    },
  };
}
