import type { DenialReason } from '@countersign/model';
import { type AccessToken, verifyAccessToken } from '../authenticate/access-token.ts';
import type { AuthenticationContext } from '../authenticate/authentication-context.ts';
import { connectionFault, timeFault } from '../authenticate/edge.ts';
import { type AuthenticationRefusal, type Identity, refused } from '../authenticate/identity.ts';
import { deviceFault, requestDevice } from '../authenticate/request-device.ts';
import { type Credentials, checkStanding } from '../authenticate/standing.ts';
import type { HeaderFields } from '../describe/header-fields.ts';
import type { Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import { findCookie } from './cookies.ts';
import { crossSiteFault } from './same-origin.ts';
import type { WebSession } from './session-store.ts';
import type { WebApplication } from './web-application.ts';

interface Asking {
  readonly exchange: Exchange;
  readonly session: WebSession;
  readonly context: AuthenticationContext;
  readonly web: WebApplication;
}

/**
 * Who asks from a browser: whose session the cookie names, if the request is the application's own. The session's token is then
 * asked all that it would be asked if the browser had sent it.
 */
export function authenticateBrowser(
  exchange: Exchange,
  fields: HeaderFields,
  context: AuthenticationContext,
  web: WebApplication,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const { connection, head } = exchange;
  const fault = connectionFault(connection, context.now());
  if (fault) return refuse(fault.reason, fault.detail);
  if (!web.isOwnHost(fields.host)) {
    return refuse('request-ambiguous', `host is not that of ${web.config.origin}`);
  }
  const cookie = findCookie(head.rawHeaders, web.cookieName);
  if (cookie.kind === 'none') return refuse('session-missing', 'no cookie of a session');
  if (cookie.kind === 'twice') return refuse('session-missing', 'two cookies of sessions');
  const session = web.sessions.find(cookie.value);
  if (!session) return refuse('session-missing', 'the cookie is of no session that goes on here');
  if (session.device !== undefined && session.device !== deviceOf(exchange, context)) {
    const detail = `the session is of '${session.device}', and the request does not come from it`;
    return refuse('token-binding', detail, session);
  }
  const crossSite = crossSiteFault(exchange, web.config);
  if (crossSite) return refuse('request-cross-site', crossSite, session);
  session.askedMs = context.now();
  const asking = { exchange, session, context, web };
  const fresh = web.keepFresh(session);
  return fresh ? whenFresh(fresh, asking) : judgeToken(asking);
}

async function whenFresh(
  fresh: Promise<undefined | 'over' | 'unreachable'>,
  asking: Asking,
): Promise<Identity | AuthenticationRefusal> {
  switch (await fresh) {
    case 'over':
      return refuse('session-missing', 'the issuer renews the session no more', asking.session);
    case 'unreachable':
      return refuse(
        'issuer-unreachable',
        'the token has ended, and the issuer does not renew it',
        asking.session,
      );
    default:
      return judgeToken(asking);
  }
}

function judgeToken(
  asking: Asking,
): Identity | AuthenticationRefusal | Promise<Identity | AuthenticationRefusal> {
  const { session, context } = asking;
  const { compact, digest } = session.token;
  const known = context.accessTokens.get(digest, context.facts());
  if (known) return judge(known, false, digest, asking);
  return context.accessTokens
    .verify(digest, () => verifyAccessToken(compact, context.facts()))
    .then((verified) =>
      'reason' in verified
        ? refuse(verified.reason, verified.detail, session)
        : judge(verified.token, verified.isFirst, digest, asking),
    );
}

function judge(
  token: AccessToken,
  isFresh: boolean,
  digest: string,
  { exchange, session, context, web }: Asking,
): Identity | AuthenticationRefusal {
  const nowMs = context.now();
  const { peer } = exchange.connection;
  const device = requestDevice(peer, undefined, {
    trustDomain: context.trustDomain,
    facts: context.facts(),
  });
  const credentials: Credentials = {
    ...(device && { device: device.subject.id }),
    subject: token.subject.id,
    isVouched: token.subjectEntity !== undefined,
    actors: token.actors,
    tokenId: token.id,
    session: session.sid,
    ...(peer.kind === 'svid' && { certificate: peer.names }),
  };
  const fault =
    timeFault(token, web.config.audience, nowMs) ??
    (token.subject.id === session.subject && token.session?.id === session.sid
      ? undefined
      : refused('token-subject', "the token is not the session's")) ??
    deviceFault(device, token, context.facts()) ??
    checkStanding(credentials, context.facts(), nowMs);
  if (fault) return refuse(fault.reason, fault.detail, session);
  // A cookie is good for whoever has it; that the session is the device's, its key proves on this very connection.
  const isBound = session.device !== undefined;
  return {
    kind: 'identity',
    subject: token.subject,
    ...(token.subjectEntity && { subjectEntity: token.subjectEntity }),
    actors: token.actors,
    ...(device && { device }),
    ...(token.session && { session: token.session }),
    keyProof: isBound ? 'mtls' : 'none',
    scopes: token.scopes,
    hasToken: true,
    tokenHash: digest,
    tokenId: token.id,
    get issuerKey() {
      return session.token.issuerKey;
    },
    entityNow: () => session.token.subjectEntity,
    // What is open lasts as long as the session is renewed, and not a moment longer than it.
    get expiresAtMs() {
      return session.isOver ? 0 : session.token.expiresAtMs + LIMITS.clockSkewMs;
    },
    evidence: isBound ? 'E1' : 'E0',
    isFresh,
  };
}

/** The enrolled device whose certificate the connection shows. */
export function deviceOf(
  { connection }: Pick<Exchange, 'connection'>,
  { trustDomain, facts }: Pick<AuthenticationContext, 'trustDomain' | 'facts'>,
): string | undefined {
  return requestDevice(connection.peer, undefined, { trustDomain, facts: facts() })?.subject.id;
}

function refuse(
  reason: DenialReason,
  detail: string,
  session?: Pick<WebSession, 'subject'>,
): AuthenticationRefusal {
  return {
    kind: 'refusal',
    reason,
    detail,
    scheme: 'cookie',
    ...(session && { subject: session.subject }),
  };
}
