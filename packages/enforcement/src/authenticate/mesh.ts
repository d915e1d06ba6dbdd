import { subjectFromId } from '@countersign/model';
import type { HeaderFields } from '../describe/header-fields.ts';
import type { Connection, Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import type { AuthenticationContext } from './authentication-context.ts';
import {
  type AuthenticationRefusal,
  type Identity,
  refused,
  type TokenRefusal,
} from './identity.ts';
import { isOfTrustDomain, subjectOfPeer } from './peer-subject.ts';
import { checkStanding, checkSubject } from './standing.ts';
import { tokenDigest } from './token-digest.ts';
import { type TransactionToken, verifyTransactionToken } from './transaction-token.ts';

/** Enforcement points speak for others only: `spiffe://<trust domain>/workload/countersign/<name>`. */
const POINT = /^spiffe:\/\/[^/]+\/workload\/countersign\//;
const WORKLOAD = /^spiffe:\/\/[^/]+\/workload\//;

type Svid = Extract<Connection['peer'], { kind: 'svid' }>;

/** Who calls from inside: a workload with an SVID, alone or within a transaction. */
export function authenticateMesh(
  exchange: Exchange,
  fields: HeaderFields,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const nowMs = context.now();
  const { peer } = exchange.connection;
  const fault = peerFault(exchange.connection, nowMs, context);
  if (fault) return refuse(fault, peer.kind === 'svid' ? { caller: peer.id } : {});
  const svid = peer as Svid;
  if (!isOfTrustDomain(svid.id, context.trustDomain)) return asPartner(svid, fields, context);
  if (fields.txnToken === undefined) return asItself(svid);
  const digest = tokenDigest(fields.txnToken);
  const known = context.transactionTokens.get(digest, context.facts());
  if (known) return judge(known, false, digest, svid, context);
  return verifyNew(fields.txnToken, digest, svid, context);
}

function peerFault(
  connection: Connection,
  nowMs: number,
  context: AuthenticationContext,
): TokenRefusal | undefined {
  const { peer } = connection;
  switch (peer.kind) {
    case 'none':
      return refused('certificate-missing', 'no client certificate');
    case 'invalid':
      return refused(peer.reason, peer.detail);
    case 'partner':
      return refused('certificate-invalid', 'a partner certificate is no SVID');
    case 'svid': {
      if (nowMs >= peer.notAfterMs) return refused('certificate-expired', 'the SVID has ended');
      if (context.facts().revocation('certificate', peer.names, nowMs)) {
        return refused('certificate-revoked', 'the SVID is revoked');
      }
      const subject = subjectOfPeer(peer.id, context.trustDomain, context.facts());
      if (subject === undefined) {
        return refused('peer-unregistered', `'${peer.id}' is registered for no subject`);
      }
      if (subject === peer.id && !WORKLOAD.test(peer.id)) {
        return refused('peer-unregistered', `'${peer.id}' is no workload`);
      }
      return checkSubject(subject, 'peer-unregistered', context.facts(), nowMs);
    }
  }
}

/** Without a transaction a workload is itself the principal. */
function asItself(svid: Svid): Identity | AuthenticationRefusal {
  if (POINT.test(svid.id)) {
    // A point that lost the token must not become a principal of its own.
    const fault = refused('transaction-token-missing', 'an enforcement point calls without one');
    return refuse(fault, { caller: svid.id });
  }
  return {
    kind: 'identity',
    subject: subjectFromId(svid.id),
    actors: [],
    keyProof: 'mtls',
    scopes: [],
    hasToken: false,
    expiresAtMs: svid.notAfterMs,
    evidence: 'E1',
    isFresh: false,
  };
}

/** A workload of a federated trust domain is the subject that it is registered for, and speaks for nobody else. */
function asPartner(
  svid: Svid,
  fields: HeaderFields,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal {
  const subject = subjectOfPeer(svid.id, context.trustDomain, context.facts());
  if (fields.txnToken !== undefined || subject === undefined) {
    // A transaction goes on among workloads of one trust domain: in a stranger's hands its token is a stolen one.
    const fault = refused(
      'transaction-token-invalid',
      'a workload of another trust domain came with one',
    );
    return refuse(fault, { caller: svid.id });
  }
  return {
    kind: 'identity',
    subject: subjectFromId(subject),
    peer: svid.id,
    actors: [],
    keyProof: 'mtls',
    scopes: [],
    hasToken: false,
    expiresAtMs: svid.notAfterMs,
    evidence: 'E1',
    isFresh: false,
  };
}

async function verifyNew(
  compact: string,
  digest: string,
  svid: Svid,
  context: AuthenticationContext,
): Promise<Identity | AuthenticationRefusal> {
  if (context.throttle.isThrottled(svid.id, context.now())) {
    const fault = refused('authentication-throttled', 'too many failures of this caller');
    return refuse(fault, { caller: svid.id, tokenHash: digest });
  }
  const verified = await context.transactionTokens.verify(digest, () =>
    verifyTransactionToken(compact, context.facts(), context.trustDomain),
  );
  if ('reason' in verified) {
    if (verified.reason !== 'overloaded') context.throttle.failed(svid.id, context.now());
    return refuse(verified, { caller: svid.id, tokenHash: digest });
  }
  return judge(verified.token, verified.isFirst, digest, svid, context);
}

function judge(
  token: TransactionToken,
  isFresh: boolean,
  digest: string,
  svid: Svid,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal {
  const nowMs = context.now();
  const fault =
    timeFault(token, nowMs) ??
    checkStanding(
      {
        subject: token.subject.id,
        isVouched: token.subjectEntity !== undefined,
        actors: token.actors,
        caller: svid.id,
        certificate: svid.names,
        ...(token.session && { session: token.session.id }),
        ...(token.device && { device: token.device.subject.id }),
      },
      context.facts(),
      nowMs,
    );
  if (fault) {
    return refuse(fault, { caller: svid.id, tokenHash: digest, subject: token.subject.id });
  }
  return {
    kind: 'identity',
    subject: token.subject,
    ...(token.subjectEntity && { subjectEntity: token.subjectEntity }),
    actors: token.actors,
    caller: subjectFromId(svid.id),
    ...(token.device && { device: token.device }),
    ...(token.session && { session: token.session }),
    keyProof: 'mtls',
    scopes: token.scopes,
    details: token.details,
    hasToken: true,
    transaction: { id: token.transactionId, requestingWorkload: token.requestingWorkload },
    tokenHash: digest,
    // The token only has to be good when the request comes; what it opens ends with the SVID,
    // or when the session or subject behind it is revoked.
    expiresAtMs: svid.notAfterMs,
    evidence: 'E1',
    // Only what the point itself passes on: whoever else got the token signed nothing of this.
    ...(token.evidence &&
      token.requestingWorkload === svid.id && {
        vouched: { surface: token.surface, evidence: token.evidence },
      }),
    isFresh,
  };
}

function timeFault(token: TransactionToken, nowMs: number): TokenRefusal | undefined {
  if (nowMs >= token.expiresAtMs + LIMITS.clockSkewMs) {
    return refused('transaction-token-expired', 'exp is past');
  }
  if (nowMs < token.issuedAtMs - LIMITS.clockSkewMs) {
    return refused('transaction-token-invalid', 'iat is in the future');
  }
  if (nowMs >= token.keyFact.notAfterMs) {
    return refused('transaction-token-invalid', 'its key has ended');
  }
  return undefined;
}

function refuse(
  { reason, detail }: TokenRefusal,
  known: { caller?: string; tokenHash?: string; subject?: string },
): AuthenticationRefusal {
  return { kind: 'refusal', reason, detail, scheme: 'mutual-tls', ...known };
}
