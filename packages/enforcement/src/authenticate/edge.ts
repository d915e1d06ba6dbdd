import type { KeyProof } from '@countersign/model';
import type { HeaderFields } from '../describe/header-fields.ts';
import type { Connection, Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import { type AccessToken, verifyAccessToken } from './access-token.ts';
import type { AuthenticationContext } from './authentication-context.ts';
import { checkDpopProof } from './dpop-proof.ts';
import {
  type AuthenticationRefusal,
  type AuthenticationScheme,
  type Identity,
  refused,
  type TokenRefusal,
} from './identity.ts';
import { subjectOfPeer } from './peer-subject.ts';
import { deviceFault, isDevice, requestDevice } from './request-device.ts';
import { type Credentials, checkStanding } from './standing.ts';
import { tokenDigest } from './token-digest.ts';

interface Presented {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly compact: string;
  readonly digest: string;
}

// RFC 6750 §2.1 and RFC 9449 §7.1: a scheme, one space or more, a token68.
const CREDENTIALS = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i;

/** Who calls from outside: an access token that is bound to the key which the caller proves to hold. */
export function authenticateEdge(
  exchange: Exchange,
  fields: HeaderFields,
  audience: string | undefined,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const nowMs = context.now();
  const { connection } = exchange;
  const fault = connectionFault(connection, nowMs);
  if (fault) return refuse(fault, 'both');
  if (fields.authorization === undefined) {
    return refuse(refused('token-missing', 'no Authorization field'), 'both');
  }
  const match = CREDENTIALS.exec(fields.authorization);
  if (!match) {
    return refuse(refused('token-malformed', 'no Bearer or DPoP credentials'), 'both');
  }
  const compact = match[2] as string;
  const presented: Presented = {
    scheme: (match[1] as string).toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
    compact,
    digest: tokenDigest(compact),
  };
  const known = context.accessTokens.get(presented.digest, context.facts());
  if (known) return judge(known, false, presented, exchange, fields, audience, context);
  return verifyNew(presented, exchange, fields, audience, context);
}

async function verifyNew(
  presented: Presented,
  exchange: Exchange,
  fields: HeaderFields,
  audience: string | undefined,
  context: AuthenticationContext,
): Promise<Identity | AuthenticationRefusal> {
  const peer = throttleKey(exchange.connection);
  if (context.throttle.isThrottled(peer, context.now())) {
    const fault = refused('authentication-throttled', tooManyFrom(exchange.connection));
    return refuse(fault, presented.scheme, presented.digest);
  }
  const verified = await context.accessTokens.verify(presented.digest, () =>
    verifyAccessToken(presented.compact, context.facts()),
  );
  if ('reason' in verified) {
    if (verified.reason !== 'overloaded') context.throttle.failed(peer, context.now());
    return refuse(verified, presented.scheme, presented.digest);
  }
  const { token, isFirst } = verified;
  return judge(token, isFirst, presented, exchange, fields, audience, context);
}

/** What is asked of a token on every request, however often it was seen. */
function judge(
  token: AccessToken,
  isFresh: boolean,
  presented: Presented,
  exchange: Exchange,
  fields: HeaderFields,
  audience: string | undefined,
  context: AuthenticationContext,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const nowMs = context.now();
  const { peer } = exchange.connection;
  const stop = (fault: TokenRefusal) =>
    refuse(fault, presented.scheme, presented.digest, token.subject.id);

  const device = requestDevice(peer, token.proofKey, {
    trustDomain: context.trustDomain,
    facts: context.facts(),
  });
  const credentials: Credentials = {
    ...(device && { device: device.subject.id }),
    subject: token.subject.id,
    isVouched: token.subjectEntity !== undefined,
    actors: token.actors,
    tokenId: token.id,
    ...(token.session && { session: token.session.id }),
    issuerKey: { factKey: token.keyFactKey, untilMs: token.expiresAtMs },
    ...((peer.kind === 'partner' || peer.kind === 'svid') && { certificate: peer.names }),
  };
  const fault =
    timeFault(token, audience, nowMs) ??
    bindingFault(token, presented.scheme, peer, context) ??
    deviceFault(device, token, context.facts()) ??
    checkStanding(credentials, context.facts(), nowMs);
  if (fault) return stop(fault);
  const keyProof: KeyProof = token.proofKey ? 'dpop' : 'mtls';
  const identity: Identity = {
    kind: 'identity',
    subject: token.subject,
    ...(token.subjectEntity && { subjectEntity: token.subjectEntity }),
    actors: token.actors,
    ...(device && { device }),
    ...(token.session && { session: token.session }),
    keyProof,
    scopes: token.scopes,
    details: token.details,
    hasToken: true,
    tokenHash: presented.digest,
    tokenId: token.id,
    issuerKey: credentials.issuerKey,
    expiresAtMs: token.expiresAtMs + LIMITS.clockSkewMs,
    evidence: 'E1', // sender-constrained
    isFresh,
  };
  if (!token.proofKey) return identity;
  const { dpop: proof } = fields;
  if (proof === undefined) return stop(refused('dpop-invalid', 'no DPoP field'));
  // By the key too: strangers who share the address have no token for it, so they cannot lock it out.
  const throttled = `${throttleKey(exchange.connection)} ${token.proofKey}`;
  if (context.throttle.isThrottled(throttled, nowMs)) {
    return stop(refused('authentication-throttled', 'too many proofs of this key failed'));
  }
  return checkDpopProof(
    proof,
    {
      method: exchange.head.method,
      target: exchange.head.target,
      host: fields.host ?? '',
      tokenDigest: presented.digest,
      keyThumbprint: token.proofKey,
      isOwnAuthority: (authority) => exchange.connection.isOwnAuthority(authority),
      nowMs,
    },
    context.proofs,
  ).then((proofFault) => {
    if (proofFault) {
      // Who must ask for a nonce first has failed at nothing.
      if (proofFault.reason !== 'dpop-nonce') context.throttle.failed(throttled, context.now());
      return stop(proofFault);
    }
    // Facts may have changed while the proof was verified.
    const late = checkStanding(credentials, context.facts(), context.now());
    return late ? stop(late) : { ...identity, dpop: proof };
  });
}

/** What is wrong with a token's time, key or audience. */
export function timeFault(token: AccessToken, audience: string | undefined, nowMs: number) {
  if (nowMs >= token.expiresAtMs + LIMITS.clockSkewMs) {
    return refused('token-expired', 'exp is past');
  }
  if (nowMs >= token.keyFact.notAfterMs) return refused('token-signature', 'its key has ended');
  if (nowMs < token.notBeforeMs - LIMITS.clockSkewMs) {
    return refused('token-not-yet-valid', 'nbf or iat is in the future');
  }
  if (nowMs < token.issuedAtMs - LIMITS.clockSkewMs) {
    return refused('token-not-yet-valid', 'iat is in the future');
  }
  if (audience !== undefined && !token.audiences.includes(audience)) {
    return refused('token-audience', `aud '${token.audiences.join(' ').slice(0, 200)}'`);
  }
  return undefined;
}

/** An unbound token is nobody's: whoever finds it could use it. A bound one must be used as bound. */
function bindingFault(
  token: AccessToken,
  scheme: 'Bearer' | 'DPoP',
  peer: Connection['peer'],
  context: AuthenticationContext,
): TokenRefusal | undefined {
  const certificate = thumbprintOf(peer);
  if (!token.certificate && !token.proofKey)
    return refused('token-binding', 'the token is unbound');
  // RFC 9449 §7.2: a token with jkt presented as Bearer MUST be refused.
  if (token.proofKey && scheme !== 'DPoP') {
    return refused('token-binding', 'bound to a DPoP key and presented as Bearer');
  }
  if (!token.proofKey && scheme === 'DPoP') {
    return refused('token-binding', 'presented as DPoP and not bound to a DPoP key');
  }
  if (token.certificate) {
    if (!certificate)
      return refused('certificate-missing', 'bound to a certificate, and none came');
    // RFC 8705 §3: the certificate of this very connection.
    if (certificate !== token.certificate) {
      return refused('token-binding', 'bound to another certificate');
    }
  }
  // The issuer binds a token to an SVID of ours for nobody but its subject, or for who uses that device; a foreign one may be
  // registered for another since.
  const shown =
    peer.kind === 'svid' && subjectOfPeer(peer.id, context.trustDomain, context.facts());
  // Of a token in somebody's name the one who acts, and whose key it is therefore bound to.
  const holder = token.actors[0] ?? token.subject;
  const isOther = shown && shown !== holder.id && !isDevice(shown, context.trustDomain);
  if (token.certificate && isOther) {
    return refused('token-subject', `the svid is of '${shown}'`);
  }
  const mapped = certificate && context.facts().subjectOfCertificate(certificate);
  if (mapped && mapped !== holder.id) {
    return refused('token-subject', `the certificate is of '${mapped}'`);
  }
  return undefined;
}

/** What is wrong with the connection itself, whatever token comes over it. */
export function connectionFault(connection: Connection, nowMs: number): TokenRefusal | undefined {
  const { peer } = connection;
  if (!connection.isSecure) return refused('certificate-missing', 'the listener has no TLS');
  if (peer.kind === 'invalid') return refused(peer.reason, peer.detail);
  if (thumbprintOf(peer) && 'notAfterMs' in peer && nowMs >= peer.notAfterMs) {
    return refused('certificate-expired', 'the certificate has ended');
  }
  return undefined;
}

/** Without the address or the thumbprint: they stand in fields of their own, which an export may leave out. */
function tooManyFrom({ peer }: Connection): string {
  return `too many failures of this ${thumbprintOf(peer) ? 'certificate' : 'address'}`;
}

function throttleKey({ peer, ip }: Connection): string {
  return thumbprintOf(peer) ?? ip;
}

/** Of the certificate that a token may be bound to: a partner's, or a workload's SVID. */
function thumbprintOf(peer: Connection['peer']): string | undefined {
  return peer.kind === 'partner' || peer.kind === 'svid' ? peer.thumbprint : undefined;
}

function refuse(
  { reason, detail, nonce }: Omit<TokenRefusal, 'kind'>,
  scheme: AuthenticationScheme,
  tokenHash?: string,
  subject?: string,
): AuthenticationRefusal {
  return {
    kind: 'refusal',
    reason,
    detail,
    scheme,
    ...(nonce && { nonce }),
    ...(tokenHash && { tokenHash }),
    ...(subject && { subject }),
  };
}
