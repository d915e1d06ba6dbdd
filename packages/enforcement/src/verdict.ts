import type { AccessRequest, DecisionEvent } from '@countersign/model';
import type { AuthenticationRefusal, Identity } from './authenticate/identity.ts';
import type { Ruling } from './decide/decide.ts';
import type { Description, DescriptionRefusal } from './describe/describe.ts';
import type { SurfaceRoute } from './describe/surface-routes.ts';
import type { Exchange } from './exchange.ts';

/** What a request's signature came to, content included. */
export interface SignatureVerdict {
  /** There when the caller signed the head of this request. */
  readonly record?: NonNullable<DecisionEvent['signature']>;
  /** Why it does not count, or not for its content. */
  readonly fault?: string;
  /** There when the person approved this request. */
  readonly assertion?: NonNullable<DecisionEvent['assertion']>;
}

/** What the first three verbs came to. */
export interface Verdict {
  /** One id for the decision, its outcome and its closure. */
  readonly eventId: string;
  readonly exchange: Exchange;
  readonly arrivedMs: number;
  readonly route: SurfaceRoute | undefined;
  readonly identity: Identity | AuthenticationRefusal;
  readonly description: Description | DescriptionRefusal;
  readonly ruling: Ruling;
  readonly signature: SignatureVerdict;
  /** Absent when there was nothing to ask the policy. */
  readonly request?: AccessRequest;
  /** The transaction token that came with it, if one came. */
  readonly transactionToken: string | undefined;
  /** The transaction that this request belongs to, or that it begins. */
  readonly transactionId?: string;
}
