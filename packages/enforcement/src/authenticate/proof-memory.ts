import { randomBytes } from 'node:crypto';
import { LIMITS } from '../limits.ts';

/** Proofs seen, so that none is taken twice (RFC 9449 §11.1). Of this point only. */
export interface ProofMemory {
  /** From when on it remembers: its start, or when the clock was last set back, by which what was forgotten became good again. */
  readonly sinceMs: number;
  /** Known to nobody before then: a proof that names it is younger than this memory, whatever its `iat`. */
  readonly nonce: string;
  /**
   * Whether what says that it was made then, in whole seconds and by a clock that may be ahead, may have been used before
   * this memory began.
   */
  mayPredate(madeMs: number, nowMs: number): boolean;
  /**
   * Remembers a proof until it is too old to be accepted anyway.
   *
   * @returns `replayed` when it was seen before, `full` when it cannot be remembered: refuse both
   */
  remember(key: string, jti: string, nowMs: number): 'new' | 'replayed' | 'full';
}

interface Generation {
  readonly proofs: Set<string>;
  readonly ofKey: Map<string, number>;
}

/**
 * An empty memory; bounds: {@link LIMITS}.proofs and {@link LIMITS}.proofsOfOneKey in a window.
 *
 * @param ageMs how old what it remembers may be to be good
 */
export function createProofMemory(sinceMs: number, ageMs: number = LIMITS.proofAgeMs): ProofMemory {
  // Two generations, each as long as a proof can be good: what is in neither is too old to pass.
  const windowMs = ageMs + 2 * LIMITS.clockSkewMs;
  let current = generation();
  let previous = generation();
  let startedMs = 0;
  let since = sinceMs;
  let nonce = newNonce();
  let latestMs = sinceMs;
  return {
    get sinceMs() {
      return since;
    },
    get nonce() {
      return nonce;
    },
    mayPredate(madeMs, nowMs) {
      if (nowMs < latestMs - LIMITS.clockSkewMs) {
        since = nowMs;
        nonce = newNonce();
      }
      latestMs = nowMs;
      return madeMs <= since + LIMITS.clockSkewMs;
    },
    remember(key, jti, nowMs) {
      if (nowMs - startedMs >= windowMs) {
        previous = nowMs - startedMs < 2 * windowMs ? current : generation();
        current = generation();
        startedMs = nowMs;
      }
      const proof = `${key}.${jti}`;
      if (current.proofs.has(proof) || previous.proofs.has(proof)) return 'replayed';
      const count = current.ofKey.get(key) ?? 0;
      if (current.proofs.size >= LIMITS.proofs || count >= LIMITS.proofsOfOneKey) return 'full';
      current.proofs.add(proof);
      current.ofKey.set(key, count + 1);
      return 'new';
    },
  };
}

function newNonce(): string {
  return randomBytes(16).toString('base64url');
}

function generation(): Generation {
  return { proofs: new Set(), ofKey: new Map() };
}
