import type { FactView } from '@countersign/decision';
import { LIMITS } from '../limits.ts';
import { refused, type TokenRefusal } from './identity.ts';
import type { KeyFact } from './verification-key.ts';

interface Verified {
  readonly keyFact: KeyFact;
  readonly keyFactKey: string;
}

/**
 * Tokens whose signature was found good, by the SHA-256 of their characters. A hit counts only
 * while the very fact that held the key is still there: a key that is withdrawn or replaced ends
 * all that it signed at once.
 */
export interface VerifiedTokens<T extends Verified> {
  readonly size: number;
  /** A token that was verified before; synchronous. */
  get(digest: string, facts: FactView): T | undefined;
  /** Verifies one that was not; the same token arriving meanwhile waits for the same answer. */
  verify(
    digest: string,
    verify: () => Promise<T | TokenRefusal>,
  ): Promise<{ readonly token: T; readonly isFirst: boolean } | TokenRefusal>;
}

/** An empty cache; bounds: {@link LIMITS}.verifiedTokens and {@link LIMITS}.verifying. */
export function createVerifiedTokens<T extends Verified>(): VerifiedTokens<T> {
  const known = new Map<string, T>();
  const pending = new Map<string, Promise<T | TokenRefusal>>();

  function keep(digest: string, token: T): void {
    if (known.size >= LIMITS.verifiedTokens) {
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    }
    known.set(digest, token);
  }

  return {
    get size() {
      return known.size;
    },
    get(digest, facts) {
      const token = known.get(digest);
      if (!token) return undefined;
      known.delete(digest);
      if (facts.get(token.keyFactKey) !== token.keyFact) return undefined;
      known.set(digest, token); // newest again: a map keeps the order of insertion
      return token;
    },
    async verify(digest, verify) {
      const running = pending.get(digest);
      if (running) {
        const token = await running;
        return 'reason' in token ? token : { token, isFirst: false };
      }
      if (pending.size >= LIMITS.verifying) return refused('overloaded', 'too many new tokens');
      const verification = verify();
      pending.set(digest, verification);
      try {
        const token = await verification;
        if ('reason' in token) return token;
        keep(digest, token);
        return { token, isFirst: true };
      } finally {
        pending.delete(digest);
      }
    },
  };
}
