import type { FactView } from '@countersign/decision';
import {
  type AuthorizationDetail,
  factKey,
  type Session,
  type Subject,
  type SubjectEntity,
} from '@countersign/model';
import { LIMITS } from '../limits.ts';
import { actorChain } from './actor-chain.ts';
import {
  audiences,
  objectClaim,
  scopes,
  sessionClaims,
  stringClaim,
  subjectClaim,
  timeClaimMs,
} from './claims.ts';
import { refused, type TokenRefusal } from './identity.ts';
import { subjectEntity } from './subject-entity.ts';
import { tokenDetails } from './token-details.ts';
import { type KeyFact, verificationKey } from './verification-key.ts';
import { decodeJws, hasSignatureOf, type UnverifiedJws } from './verify-jws.ts';

/** An access token whose signature is good. Time, audience, binding, revocation: on each request. */
export interface AccessToken {
  readonly kind: 'access-token';
  /** The fact whose key signed it, and where that fact must still be found. */
  readonly keyFact: KeyFact;
  readonly keyFactKey: string;
  readonly id: string;
  readonly subject: Subject;
  readonly subjectEntity?: SubjectEntity;
  readonly actors: readonly Subject[];
  readonly session?: Session;
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  readonly details: readonly AuthorizationDetail[];
  readonly issuedAtMs: number;
  readonly notBeforeMs: number;
  readonly expiresAtMs: number;
  /** RFC 8705 §3.1: thumbprint of the certificate that it is bound to. */
  readonly certificate?: string;
  /** RFC 9449 §6.1: thumbprint of the DPoP key that it is bound to. */
  readonly proofKey?: string;
}

/** Verifies what never changes of a JWT access token (RFC 9068 §4): form, issuer, signature, claims. */
export async function verifyAccessToken(
  compact: string,
  facts: FactView,
): Promise<AccessToken | TokenRefusal> {
  const jws = decodeJws(compact);
  if (!jws) return refused('token-malformed', 'no compact JWS with JSON inside');
  const type = jws.header['typ'];
  // RFC 9068 §4: the type keeps ID tokens and other JWTs of the same issuer out.
  if (typeof type !== 'string' || !/^(?:application\/)?at\+jwt$/i.test(type)) {
    return refused('token-type', `typ '${clip(type)}', expected at+jwt`);
  }
  const issuer = stringClaim(jws.claims, 'iss');
  const kid = stringClaim(jws.header, 'kid', 256);
  if (!issuer || !kid) return refused('token-malformed', 'no iss or no kid');
  const keyFactKey = factKey({ kind: 'issuer-key', issuer, kid, jwk: {}, notAfterMs: 0 });
  const keyFact = facts.get(keyFactKey);
  if (keyFact?.kind !== 'issuer-key') return unknownKey(facts, issuer, kid);
  const key = verificationKey(keyFact);
  if (!key) return refused('token-signature', `key '${clip(kid)}' is none that we verify with`);
  if (!(await hasSignatureOf(jws, key))) {
    return refused('token-signature', `not signed by key '${clip(kid)}' with ${key.algorithm}`);
  }
  return readClaims(jws, keyFact, keyFactKey);
}

function unknownKey(facts: FactView, issuer: string, kid: string): TokenRefusal {
  for (const fact of facts.byKind('issuer-key')) {
    if (fact.issuer === issuer) {
      return refused('token-signature', `key '${clip(kid)}' is not known of this issuer`);
    }
  }
  return refused('token-issuer', `issuer '${clip(issuer)}' is not known`);
}

function readClaims(jws: UnverifiedJws, keyFact: KeyFact, keyFactKey: string) {
  const { claims } = jws;
  const id = stringClaim(claims, 'jti', 256);
  const sub = stringClaim(claims, 'sub');
  const issuedAtMs = timeClaimMs(claims, 'iat');
  const expiresAtMs = timeClaimMs(claims, 'exp');
  const granted = scopes(claims);
  // RFC 9068 §2.2: these are REQUIRED.
  if (!id || issuedAtMs === undefined || expiresAtMs === undefined || !granted) {
    return refused('token-malformed', 'jti, iat, exp or scope missing or of the wrong type');
  }
  const subject = subjectClaim(claims);
  if (!subject) return refused('token-subject', `sub '${clip(sub)}' is no subject's SPIFFE ID`);
  const actors = actorChain(claims);
  if (!actors) return refused('token-malformed', `act is no chain of at most ${LIMITS.actors}`);
  const details = tokenDetails(claims);
  if (!details)
    return refused('token-malformed', 'authorization_details are no list of one a type');
  const notBeforeMs = claims['nbf'] === undefined ? issuedAtMs : timeClaimMs(claims, 'nbf');
  if (notBeforeMs === undefined) return refused('token-malformed', 'nbf is no time');
  const confirmation = objectClaim(claims, 'cnf') ?? {};
  const certificate = stringClaim(confirmation, 'x5t#S256', 64);
  const proofKey = stringClaim(confirmation, 'jkt', 64);
  const session = sessionClaims(claims);
  const entity = subjectEntity(claims, subject);
  const token: AccessToken = {
    kind: 'access-token',
    keyFact,
    keyFactKey,
    id,
    subject,
    actors,
    audiences: audiences(claims),
    scopes: granted,
    details,
    issuedAtMs,
    notBeforeMs,
    expiresAtMs,
    ...(entity && { subjectEntity: entity }),
    ...(session && { session }),
    ...(certificate && { certificate }),
    ...(proofKey && { proofKey }),
  };
  return token;
}

function clip(value: unknown): string {
  return String(value).slice(0, 200);
}
