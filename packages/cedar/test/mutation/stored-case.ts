import type { Outcome } from '../fuzz/outcome.ts';
import type { PlainWorld } from '../fuzz/plain-world.ts';

/** A world with what the official engine answered to each of its requests. */
export interface StoredCase extends PlainWorld {
  readonly name: string;
  readonly expected: readonly Outcome[];
}
