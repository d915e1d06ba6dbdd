import type {
  AuthorizationDetail,
  DenialReason,
  EvidenceLevel,
  KeyProof,
  RequestDevice,
  Session,
  Subject,
  SubjectEntity,
  Transaction,
} from '@countersign/model';
import type { Credentials } from './standing.ts';

/** In whose name a request is made, by whom, and how that was proved. */
export interface Identity {
  readonly kind: 'identity';
  readonly subject: Subject;
  /** What the issuer of its token vouches of it, where no fact tells of it: of a customer. */
  readonly subjectEntity?: SubjectEntity;
  readonly actors: readonly Subject[];
  readonly caller?: Subject;
  /** The enrolled device that the request comes from. */
  readonly device?: RequestDevice;
  /** The SPIFFE ID of a federated trust domain that is registered for the subject, when that is who is connected. */
  readonly peer?: string;
  readonly session?: Session;
  readonly keyProof: KeyProof;
  readonly scopes: readonly string[];
  /** What the token says was authorised in detail; absent where no token is. */
  readonly details?: readonly AuthorizationDetail[];
  /** False when no token stands behind the request: a workload that calls as itself. */
  readonly hasToken: boolean;
  readonly transaction?: Transaction;
  /** SHA-256 (base64url) of the token. */
  readonly tokenHash?: string;
  /** The access token's `jti`. */
  readonly tokenId?: string;
  /** The key that signed it, and until when that is asked for. */
  readonly issuerKey?: Credentials['issuerKey'];
  /** When the credential that carries this identity ends, skew included. */
  readonly expiresAtMs: number;
  /** What is vouched of the subject by now, where its token is renewed while something is open: in a browser's session. */
  readonly entityNow?: () => SubjectEntity | undefined;
  readonly evidence: EvidenceLevel;
  /** What the point where the transaction came in says of its evidence, when that very point is the caller. */
  readonly vouched?: { readonly surface: string; readonly evidence: EvidenceLevel };
  /** The DPoP proof that came, verified. */
  readonly dpop?: string;
  /** True the first time that this token is seen here. */
  readonly isFresh: boolean;
}

/** Which challenge a caller should get with a 401. */
export type AuthenticationScheme = 'Bearer' | 'DPoP' | 'both' | 'mutual-tls' | 'cookie';

/** Why there is no identity. */
export interface AuthenticationRefusal {
  readonly kind: 'refusal';
  readonly reason: DenialReason;
  /** For the bank's people; never shown to the caller. */
  readonly detail: string;
  readonly scheme: AuthenticationScheme;
  readonly tokenHash?: string;
  /** What the next DPoP proof must name (RFC 9449 §9), for `dpop-nonce`. */
  readonly nonce?: string;
  /** Who it claims to be or is connected as, as far as that was verified. */
  readonly subject?: string;
  readonly caller?: string;
}

/** What a token check came to, when it is bad: the reason and words for the bank's people. */
export interface TokenRefusal {
  readonly kind: 'refused';
  readonly reason: DenialReason;
  readonly detail: string;
  /** For `dpop-nonce`. */
  readonly nonce?: string;
}

/** Builds a {@link TokenRefusal}. */
export function refused(reason: DenialReason, detail: string): TokenRefusal {
  return { kind: 'refused', reason, detail };
}
