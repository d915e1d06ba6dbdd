import { compactId } from '@countersign/model';
import { actClaim } from '../authenticate/actor-chain.ts';
import type { Identity } from '../authenticate/identity.ts';
import { SUBJECT_ENTITY } from '../authenticate/subject-entity.ts';
import type { Description } from '../describe/describe.ts';
import { LIMITS } from '../limits.ts';

/** The key with which a point mints transaction tokens; Ed25519, possibly elsewhere. */
export interface TransactionSigner {
  readonly kid: string;
  /** Public JWK, for registering. */
  readonly jwk: Readonly<Record<string, string>>;
  /** Ed25519 over the bytes: 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

/** What a transaction is about. */
export interface TransactionSubject {
  readonly identity: Identity;
  /** Those that are left in its session. */
  readonly scopes: readonly string[];
  readonly description: Description;
  readonly surface: string;
  readonly ip: string;
  readonly nowMs: number;
}

/** Mints the one token of a transaction, where it comes in. */
export interface TransactionMinter {
  /** Synchronous when the signer is. @param id the `txn` claim */
  mint(id: string, subject: TransactionSubject): Promise<string> | string;
}

/** A fresh transaction id. */
export const transactionId: () => string = compactId;

/** A minter for one point. */
export function createTransactionMinter(
  signer: TransactionSigner,
  { trustDomain, spiffeId }: { readonly trustDomain: string; readonly spiffeId: string },
): TransactionMinter {
  const header = part({ alg: 'EdDSA', kid: signer.kid, typ: 'txntoken+jwt' });
  return {
    mint(id, subject) {
      const input = `${header}.${part(claims(id, subject, { trustDomain, spiffeId }))}`;
      const token = (signature: Uint8Array) => `${input}.${base64url(signature)}`;
      const signature = signer.sign(Buffer.from(input, 'latin1'));
      return signature instanceof Uint8Array ? token(signature) : signature.then(token);
    },
  };
}

/** draft-ietf-oauth-transaction-tokens §8.2; it never holds the access token or a hash of it. */
function claims(
  id: string,
  { identity, scopes, description, surface, ip, nowMs }: TransactionSubject,
  { trustDomain, spiffeId }: { readonly trustDomain: string; readonly spiffeId: string },
) {
  const iat = Math.floor(nowMs / 1000);
  const { session, actors, subject, subjectEntity, device, details = [] } = identity;
  const act = actClaim(actors);
  return {
    iat,
    // A transaction does not outlive the credential that began it.
    exp: Math.min(iat + LIMITS.transactionTokenMs / 1000, Math.floor(identity.expiresAtMs / 1000)),
    aud: trustDomain,
    txn: id,
    sub: subject.id,
    ...(subjectEntity && { [SUBJECT_ENTITY]: subjectEntity }),
    scope: scopes.join(' '),
    req_wl: spiffeId,
    ...(act && { act }),
    tctx: {
      surface,
      action: description.operation.id,
      resource: { type: description.resource.type, id: description.resource.id },
      // What the next point cannot see again: the signature covers what was asked for here.
      ...(identity.evidence !== 'E1' && { evidence: identity.evidence }),
      ...(details.length > 0 && { authorization_details: details }),
    },
    rctx: {
      req_ip: ip,
      authn: identity.keyProof,
      ...(device && { device: device.subject.id }),
      ...(session && {
        sid: session.id,
        ...(session.acr && { acr: session.acr }),
        ...(session.amr && { amr: session.amr }),
        ...(session.authTimeMs !== undefined && { auth_time: session.authTimeMs / 1000 }),
      }),
    },
  };
}

function base64url({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64url');
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}
