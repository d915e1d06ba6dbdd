import type { FactView } from '@countersign/decision';
import type { Subject } from '@countersign/model';
import type { CertificateNames } from '@countersign/spiffe';
import { refused, type TokenRefusal } from './identity.ts';

/** What stands behind a request; all of it may have been taken back meanwhile. */
export interface Credentials {
  readonly subject: string;
  /** The issuer of the token vouches for the subject: no fact need tell of it. */
  readonly isVouched: boolean;
  readonly actors: readonly Subject[];
  readonly caller?: string;
  /** SPIFFE ID of the device that it comes from. */
  readonly device?: string;
  readonly session?: string;
  readonly tokenId?: string;
  /** The fact with the key that signed its access token; asked for until that token ends, as an old key is kept. */
  readonly issuerKey?: { readonly factKey: string; readonly untilMs: number };
  /** Of the connection. */
  readonly certificate?: CertificateNames;
}

/**
 * Whether everything that a request relies on still stands: asked on every request, and again for
 * what is open when facts change.
 *
 * @returns nothing when it stands
 */
export function checkStanding(
  credentials: Credentials,
  facts: FactView,
  nowMs: number,
): TokenRefusal | undefined {
  const { certificate, tokenId, session, issuerKey, caller, device } = credentials;
  if (certificate && facts.revocation('certificate', certificate, nowMs)) {
    return refused('certificate-revoked', 'the certificate is revoked');
  }
  if (tokenId && facts.revocation('token', tokenId, nowMs)) {
    return refused('token-revoked', 'the token is revoked');
  }
  if (issuerKey && nowMs < issuerKey.untilMs && facts.get(issuerKey.factKey) === undefined) {
    return refused('token-signature', 'the key that signed it is known of this issuer no more');
  }
  if (session && facts.revocation('session', session, nowMs)) {
    return refused('session-revoked', 'the session is revoked');
  }
  const fault = checkSubject(credentials.subject, 'token-subject', facts, nowMs, {
    isVouched: credentials.isVouched,
  });
  if (fault) return fault;
  for (const actor of credentials.actors) {
    const actorFault = checkSubject(actor.id, 'token-subject', facts, nowMs);
    if (actorFault) return actorFault;
  }
  const deviceFault = device && checkSubject(device, 'peer-unregistered', facts, nowMs);
  if (deviceFault) return deviceFault;
  return caller ? checkSubject(caller, 'peer-unregistered', facts, nowMs) : undefined;
}

/** Whether one subject is registered, or vouched for, enabled and not revoked. */
export function checkSubject(
  id: string,
  unregistered: 'token-subject' | 'peer-unregistered',
  facts: FactView,
  nowMs: number,
  { isVouched }: { readonly isVouched: boolean } = { isVouched: false },
): TokenRefusal | undefined {
  const subject = facts.subject(id);
  if (!subject && !isVouched) return refused(unregistered, `'${id}' is not registered`);
  if (subject?.enabled === false) return refused('subject-disabled', `'${id}' is disabled`);
  if (facts.revocation('subject', id, nowMs)) {
    return refused('subject-disabled', `'${id}' is revoked`);
  }
  return undefined;
}
