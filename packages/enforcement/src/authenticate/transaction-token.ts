import type { FactView } from '@countersign/decision';
import {
  type AuthorizationDetail,
  EVIDENCE_LEVELS,
  type EvidenceLevel,
  factKey,
  type RequestDevice,
  type Session,
  type Subject,
  type SubjectEntity,
} from '@countersign/model';
import { LIMITS } from '../limits.ts';
import { actorChain } from './actor-chain.ts';
import {
  audiences,
  type Claims,
  objectClaim,
  scopes,
  sessionClaims,
  stringClaim,
  subjectClaim,
  timeClaimMs,
} from './claims.ts';
import { refused, type TokenRefusal } from './identity.ts';
import { vouchedDevice } from './request-device.ts';
import { subjectEntity } from './subject-entity.ts';
import { tokenDetails } from './token-details.ts';
import { type KeyFact, verificationKey } from './verification-key.ts';
import { decodeJws, hasSignatureOf } from './verify-jws.ts';

/** A transaction token whose signature and holder are good. Time and revocation: on each request. */
export interface TransactionToken {
  readonly kind: 'transaction-token';
  readonly keyFact: KeyFact;
  readonly keyFactKey: string;
  readonly transactionId: string;
  readonly requestingWorkload: string;
  readonly subject: Subject;
  readonly subjectEntity?: SubjectEntity;
  readonly actors: readonly Subject[];
  readonly session?: Session;
  readonly scopes: readonly string[];
  readonly details: readonly AuthorizationDetail[];
  /** The device that it began at, as the point there saw it. */
  readonly device?: RequestDevice;
  /** The surface where the transaction came in. */
  readonly surface: string;
  /** How well the request that began it bound its actor there; absent: not better than E1. */
  readonly evidence?: EvidenceLevel;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * Verifies what never changes of a transaction token. It may be minted only by the enforcement
 * point that holds the key, and only for a surface that this point fronts: a key stolen from one
 * point makes no transactions of another's.
 *
 * @see draft-ietf-oauth-transaction-tokens, sections 9 and 14
 */
export async function verifyTransactionToken(
  compact: string,
  facts: FactView,
  trustDomain: string,
): Promise<TransactionToken | TokenRefusal> {
  const jws = decodeJws(compact);
  if (!jws) return invalid('no compact JWS with JSON inside');
  if (jws.header['typ'] !== 'txntoken+jwt') return invalid('typ is not txntoken+jwt');
  const kid = stringClaim(jws.header, 'kid', 256);
  if (!kid) return invalid('no kid');
  const keyFactKey = factKey({
    kind: 'transaction-key',
    kid,
    jwk: {},
    holder: '',
    surfaces: [],
    notAfterMs: 0,
  });
  const keyFact = facts.get(keyFactKey);
  if (keyFact?.kind !== 'transaction-key') return invalid(`key '${kid}' is not known`);
  const key = verificationKey(keyFact);
  if (key?.algorithm !== 'EdDSA') return invalid(`key '${kid}' is not of Ed25519`);
  if (!(await hasSignatureOf(jws, key))) return invalid(`not signed by key '${kid}'`);
  return readClaims(jws.claims, keyFact, keyFactKey, trustDomain);
}

function readClaims(
  claims: Claims,
  keyFact: Extract<KeyFact, { kind: 'transaction-key' }>,
  keyFactKey: string,
  trustDomain: string,
): TransactionToken | TokenRefusal {
  const audience = audiences(claims);
  if (audience.length !== 1 || audience[0] !== trustDomain) {
    return invalid(`aud is not the trust domain '${trustDomain}'`);
  }
  const transactionId = stringClaim(claims, 'txn', 128);
  const requestingWorkload = stringClaim(claims, 'req_wl');
  const granted = claims['scope'] === undefined ? undefined : scopes(claims);
  const issuedAtMs = timeClaimMs(claims, 'iat');
  const expiresAtMs = timeClaimMs(claims, 'exp');
  if (!transactionId || !granted || issuedAtMs === undefined || expiresAtMs === undefined) {
    return invalid('txn, scope, iat or exp missing or of the wrong type');
  }
  if (expiresAtMs - issuedAtMs > LIMITS.transactionTokenMs) return invalid('lives too long');
  if (requestingWorkload !== keyFact.holder) return invalid('req_wl does not hold the key');
  const about = objectClaim(claims, 'tctx') ?? {};
  const surface = stringClaim(about, 'surface', 256);
  const evidence = EVIDENCE_LEVELS.find((level) => level === about['evidence']);
  if (!surface || !keyFact.surfaces.includes(surface)) {
    return invalid('tctx.surface is none that the holder of the key fronts');
  }
  const subject = subjectClaim(claims);
  const actors = actorChain(claims);
  if (!subject || !actors) return invalid('sub or act is no subject');
  const entity = subjectEntity(claims, subject);
  const details = tokenDetails(about);
  if (!details) return invalid('tctx.authorization_details are no list of one a type');
  const requester = objectClaim(claims, 'rctx') ?? {};
  const session = sessionClaims(requester);
  const device = vouchedDevice(stringClaim(requester, 'device'));
  return {
    kind: 'transaction-token',
    keyFact,
    keyFactKey,
    transactionId,
    requestingWorkload,
    subject,
    actors,
    scopes: granted,
    details,
    surface,
    issuedAtMs,
    expiresAtMs,
    ...(entity && { subjectEntity: entity }),
    ...(session && { session }),
    ...(device && { device }),
    ...(evidence && { evidence }),
  };
}

function invalid(detail: string): TokenRefusal {
  return refused('transaction-token-invalid', detail);
}
