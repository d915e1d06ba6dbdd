import { LIMITS } from '../limits.ts';

/**
 * Sessions that people signed out of here, as long as a sign-in may be under way that began before: what the issuer answered
 * earlier and the point hears later is no session. Bound: {@link LIMITS}.signedOutSessions, then the oldest is forgotten.
 */
export interface SignedOut {
  /** @param sid of the person's session at the issuer */
  note(sid: string, nowMs: number): void;
  /** Whether its person signed out at that moment or later. */
  isSince(sid: string, beganMs: number): boolean;
}

export function createSignedOut(): SignedOut {
  // The one signed out longest ago first.
  const atMs = new Map<string, number>();
  return {
    note(sid, nowMs) {
      atMs.delete(sid);
      for (const [oldest, outMs] of atMs) {
        if (nowMs - outMs <= LIMITS.signInMs && atMs.size < LIMITS.signedOutSessions) break;
        atMs.delete(oldest);
      }
      atMs.set(sid, nowMs);
    },
    isSince: (sid, beganMs) => (atMs.get(sid) ?? Number.NEGATIVE_INFINITY) >= beganMs,
  };
}
