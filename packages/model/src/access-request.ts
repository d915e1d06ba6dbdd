import type { RequestDevice } from './device.ts';
import type { Subject } from './subject.ts';

/** The name of a Cedar entity. `type` may be namespaced (`Accounts::Account`). */
export interface EntityUid {
  readonly type: string;
  readonly id: string;
}

/** What a request is about: the entity that its last path parameter names, and what holds it. */
export interface ResourceRef extends EntityUid {
  /** The entities of the earlier path parameters, outermost last, then the surface itself. */
  readonly parents: readonly EntityUid[];
}

/** How the caller proved to hold the key that its token is bound to. */
export type KeyProof = 'none' | 'mtls' | 'dpop';

/** The session under which a request is made. */
export interface Session {
  /** Assigned by the issuer, the token's `sid`. */
  readonly id: string;
  readonly acr?: string;
  readonly amr?: readonly string[];
  readonly authTimeMs?: number;
}

/** What a transaction token says of the transaction that an inner hop serves. */
export interface Transaction {
  /** The `txn` claim: one id along all hops. */
  readonly id: string;
  /** The workload that asked for the token, the `req_wl` claim: where the transaction came in. */
  readonly requestingWorkload: string;
}

/** Bytes of {@link SubjectEntity} as JSON: it travels in each token of its subject, in a header. */
export const SUBJECT_ENTITY_BYTES_MAX = 2048;

/**
 * What the issuer of a token vouches of its subject: a bank's customers are too many for facts. Attributes are in Cedar's
 * JSON form. It counts for a `customer` of whom no fact tells, and for nobody else.
 */
export interface SubjectEntity {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly parents: readonly EntityUid[];
}

/**
 * One question to the policy decision point. Plain data: it carries all that a decision uses
 * besides policy and facts, so that the same request can be decided again later.
 */
export interface AccessRequest {
  /** In whose name; the Cedar principal. */
  readonly subject: Subject;
  readonly subjectEntity?: SubjectEntity;
  /** Agents, workloads and partners that act for the subject, the outermost first (RFC 8693 `act`). */
  readonly actors: readonly Subject[];
  /** The workload at the other end of the connection, when it is not the subject itself. */
  readonly caller?: Subject;
  /** The enrolled device that it comes from; absent when none proved to be it. */
  readonly device?: RequestDevice;
  readonly session?: Session;
  readonly keyProof: KeyProof;
  readonly surface: string;
  /** An operationId of the surface. */
  readonly action: string;
  readonly resource: ResourceRef;
  /** What it is for: the code of the token's detail of type `purpose`. */
  readonly purpose?: string;
  /** What was authorised in detail (RFC 9396), by type, without `type` itself and without `purpose`. */
  readonly authorizationDetails?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /**
   * SHA-256 of the request's content, base64, as its signature covers it: where the surface wants signed requests, and the
   * token has details to compare it with.
   */
  readonly contentDigest?: string;
  readonly scopes: readonly string[];
  readonly transaction?: Transaction;
  readonly timeMs: number;
  /** The address of the peer, without port. */
  readonly ip: string;
}
