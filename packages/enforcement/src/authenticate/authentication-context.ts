import type { FactView } from '@countersign/decision';
import type { WebApplication } from '../web/web-application.ts';
import type { AccessToken } from './access-token.ts';
import type { FailureThrottle } from './failure-throttle.ts';
import type { ProofMemory } from './proof-memory.ts';
import type { TransactionToken } from './transaction-token.ts';
import type { VerifiedTokens } from './verified-tokens.ts';

/** What authenticating needs to know and to remember; one per enforcement point. */
export interface AuthenticationContext {
  readonly trustDomain: string;
  readonly facts: () => FactView;
  readonly now: () => number;
  /** Listeners with authorities of partners; at all others the peer must be a workload of ours. */
  readonly edgeListeners: ReadonlySet<string>;
  /** By listener: where browsers come, with cookies of sessions. */
  readonly web: ReadonlyMap<string, WebApplication>;
  readonly accessTokens: VerifiedTokens<AccessToken>;
  readonly transactionTokens: VerifiedTokens<TransactionToken>;
  readonly proofs: ProofMemory;
  /** Signed requests seen. */
  readonly signatures: ProofMemory;
  /** Approvals of persons seen. */
  readonly approvals: ProofMemory;
  readonly throttle: FailureThrottle;
}
