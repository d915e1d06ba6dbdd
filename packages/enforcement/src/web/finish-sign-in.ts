import { compactId } from '@countersign/model';
import type { Answer, Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import type { PointContext } from '../point-context.ts';
import type { EventBody } from '../record/recorder.ts';
import { deviceOf } from './authenticate-browser.ts';
import { beginSignIn } from './begin-sign-in.ts';
import { findCookie, setCookie, signInCookieName } from './cookies.ts';
import { isFault } from './issuer-client.ts';
import type { WebSession } from './session-store.ts';
import { type SignIn, tagOf } from './sign-in-seal.ts';
import { verifyIdToken } from './verify-id-token.ts';
import { pageAnswer, redirect } from './web-answers.ts';
import type { AdmittedTokens, WebApplication } from './web-application.ts';

/** The parameters of a callback, each once (RFC 6749 §4.1.2, RFC 9207). */
type Parameters = ReadonlyMap<'code' | 'state' | 'iss' | 'error', string>;

/**
 * Takes a person who comes back from the issuer: the state is of a sign-in that this very browser began, once; the answer is
 * the issuer's; the code becomes tokens, and the tokens a session under a cookie that was never seen before.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`: then nobody is signed in
 */
export async function finishSignIn(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
): Promise<Answer> {
  const found = await judge(exchange, web, context);
  const eventId = compactId();
  const place = { id: eventId, listener: exchange.connection.listener };
  const { ip } = exchange.connection;
  if ('refused' in found) {
    await record(context, {
      ...place,
      result: 'refused',
      reason: 'web-sign-in-refused',
      detail: found.refused.slice(0, 1000),
      ip: ip.slice(0, 64),
    });
    if (found.again) {
      const { returnTo, challenge } = found.again;
      const { cookies = [] } = found;
      const more = { returnTo, challenge, eventId, cookies, isAgain: true, nowMs: context.now() };
      return beginSignIn(exchange, web, more);
    }
    return pageAnswer(
      found.status ?? 400,
      {
        title: 'You are not signed in',
        text: [
          found.text ?? 'This sign-in was finished, waited too long, or is not of this browser.',
        ],
        links: [{ href: found.returnTo ?? '/', text: 'Try again' }],
        eventId,
      },
      { cookies: found.cookies ?? [] },
    );
  }
  const { admitted, refreshToken, signIn, cookies } = found;
  const { claims } = admitted;
  await record(context, {
    ...place,
    result: 'accepted',
    reason: 'web-session-started',
    detail: `acr ${claims.session.acr ?? 'none'}`,
    subject: claims.subject.id,
    session: claims.session.id,
    ip: ip.slice(0, 64),
    tokenHash: admitted.token.digest,
  });
  // INVARIANT: no session outlives that its person signed out, whatever was on its way then; nothing is waited for below.
  if (web.signedOut.isSince(claims.session.id, signIn.untilMs - LIMITS.signInMs)) {
    return signedOutMeanwhile(found, place, context);
  }
  const { cookie, ended = [] } = sessionOf(exchange, web, context, {
    admitted,
    refreshToken,
    signIn,
  });
  for (const each of ended) await recordEnded(each, place.listener, context);
  return redirect(
    `${web.config.origin}${signIn.returnTo}`,
    [...cookies, ...(cookie === undefined ? [] : [setCookie(web.cookieName, cookie)])],
    ['Countersign-Event-Id', eventId],
  );
}

interface Refused {
  /** For the bank's people. */
  readonly refused: string;
  readonly status?: number;
  readonly text?: string;
  readonly returnTo?: string;
  readonly cookies?: readonly string[];
  /** What is begun again without asking anybody. */
  readonly again?: SignIn;
}

/** A session that had to go for the one that began. */
interface Ended extends Pick<WebSession, 'subject' | 'sid'> {
  readonly why: string;
}

interface Finished {
  readonly signIn: SignIn;
  readonly admitted: AdmittedTokens;
  readonly refreshToken: string;
  /** That of the sign-in, taken back. */
  readonly cookies: readonly string[];
}

async function judge(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
): Promise<Refused | Finished> {
  const { config, point, seal, usedStates, issuer } = web;
  const { rawHeaders, target } = exchange.head;
  const parameters = parametersOf(target);
  const state = parameters?.get('state');
  if (!parameters || state === undefined) return { refused: 'no state, or a parameter twice' };
  const tag = tagOf(state);
  const name = signInCookieName(point, tag);
  const cookie = findCookie(rawHeaders, name);
  // RFC 9700 §4.7: what another browser began is not finished here, or its person would be signed in as somebody else.
  if (cookie.kind !== 'value')
    return { refused: `state of no sign-in of this browser: ${cookie.kind}` };
  const cookies = [setCookie(name, '', 0)];
  const signIn = seal.open(cookie.value, state, context.now());
  if (!signIn) return { refused: 'the cookie of the sign-in is not ours, or is over', cookies };
  const { returnTo } = signIn;
  const stop = (refused: string, more: Partial<Refused> = {}): Refused => ({
    ...{ refused, cookies, returnTo },
    ...more,
  });
  if (!usedStates.use(tag)) return stop('the state came twice');
  // RFC 9207 §2.4: an answer of another issuer is none to what was asked of this one.
  if (parameters.get('iss') !== config.issuer.url) {
    return stop(`iss '${parameters.get('iss')?.slice(0, 200) ?? ''}' is not the issuer`);
  }
  const error = parameters.get('error');
  if (error !== undefined) {
    return stop(`the issuer answered ${error.slice(0, 100)}`, {
      status: 403,
      text: 'The sign-in was not finished.',
    });
  }
  const code = parameters.get('code');
  if (code === undefined) return stop('no code');
  const tokens = await issuer.exchange(code, signIn.verifier);
  if (isFault(tokens)) {
    return stop(
      tokens.detail,
      tokens.kind === 'unreachable'
        ? { status: 503, text: 'The place where people sign in does not answer.' }
        : // Another tab signed in since, and its grant took the place of this one: the issuer knows who it is.
          { ...(!signIn.isAgain && { again: signIn }) },
    );
  }
  const { idToken, refreshToken } = tokens;
  if (idToken === undefined || refreshToken === undefined) {
    return stop('the issuer gave no ID token or no refresh token');
  }
  const identity = await verifyIdToken(idToken, {
    ...{ issuer: config.issuer.url, clientId: config.clientId, nonce: signIn.nonce },
    facts: context.point().facts,
    nowMs: context.now(),
  });
  if (typeof identity === 'string') return stop(identity);
  const admitted = await web.admit(tokens);
  if (typeof admitted === 'string') return stop(admitted);
  if (admitted.claims.subject.id !== identity.subject) {
    return stop('ID token and access token name two persons');
  }
  return { signIn, admitted, refreshToken, cookies };
}

/** The person signed out while what they signed in with before was on its way here. */
async function signedOutMeanwhile(
  { admitted: { claims }, signIn, cookies }: Finished,
  { listener }: { readonly listener: string },
  context: PointContext,
): Promise<Answer> {
  const eventId = compactId();
  await record(context, {
    ...{ id: eventId, listener, result: 'accepted', reason: 'web-session-ended' },
    detail: 'signed out while it began',
    ...{ subject: claims.subject.id, session: claims.session.id },
  });
  return pageAnswer(
    400,
    {
      title: 'You are not signed in',
      text: ['You signed out while this sign-in was under way.'],
      links: [{ href: signIn.returnTo, text: 'Sign in' }],
      eventId,
    },
    { cookies },
  );
}

async function recordEnded(
  { subject, sid, why }: Ended,
  listener: string,
  context: PointContext,
): Promise<void> {
  await record(context, {
    ...{ id: compactId(), listener, result: 'accepted', reason: 'web-session-ended' },
    ...{ detail: why, subject, session: sid },
  });
}

/**
 * The session that begins, or goes on.
 *
 * @returns the new cookie, or none when the browser keeps the one it has; and what had to go for it
 */
function sessionOf(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
  { admitted, refreshToken, signIn }: Pick<Finished, 'admitted' | 'refreshToken' | 'signIn'>,
): { readonly cookie?: string | undefined; readonly ended?: readonly Ended[] } {
  const { claims, token } = admitted;
  const device = deviceOf(exchange, context.authentication);
  const cookie = findCookie(exchange.head.rawHeaders, web.cookieName);
  const before = cookie.kind === 'value' ? web.sessions.find(cookie.value) : undefined;
  const nowMs = context.now();
  if (before && before.sid === claims.session.id && before.device === device) {
    // One person, one browser, one session at the issuer: what is open in it goes on.
    before.token = token;
    before.refreshToken = refreshToken;
    before.acr = claims.session.acr as WebSession['acr'];
    before.askedMs = nowMs;
    before.retryMs = 0;
    // Whoever had the cookie before has not what was asked for now. Another tab's sign-in adds nothing, and takes nothing away.
    return { cookie: signIn.challenge ? web.sessions.move(before) : undefined };
  }
  const ended: Ended[] = [];
  if (before) {
    const { subject, sid } = before;
    ended.push({ subject, sid, why: 'another signed in' });
    endHere(before, web, context, 'another signed in');
  }
  const { cookie: made, ended: over } = web.sessions.start({
    ...{ subject: claims.subject.id, sid: claims.session.id, device, token, refreshToken },
    acr: claims.session.acr as WebSession['acr'],
    askedMs: nowMs,
    isOver: false,
    renewal: undefined,
    retryMs: 0,
  });
  if (over) {
    const { subject, sid, bound } = over;
    ended.push({ subject, sid, why: `for another sign-in: ${bound} is ${LIMITS[bound]}` });
  }
  return { cookie: made, ended };
}

/** Ends a session at this point, and what is open in it. */
export function endHere(
  session: WebSession,
  web: WebApplication,
  context: PointContext,
  detail: string,
): void {
  web.sessions.end(session);
  context.channels.closeWhere((channel) => channel.session === session.sid, 'revoked', detail);
}

async function record(
  { recorder }: PointContext,
  event: Omit<Extract<EventBody, { kind: 'authentication' }>, 'kind'>,
): Promise<void> {
  // INVARIANT: nobody is signed in, and nobody refused, of whom the log does not say so.
  await recorder.durable(recorder.append({ kind: 'authentication', ...event }));
}

function parametersOf(target: string): Parameters | undefined {
  const query = target.slice(target.indexOf('?') + 1);
  if (!target.includes('?') || query.length > LIMITS.targetCharacters) return undefined;
  const found = new Map<'code' | 'state' | 'iss' | 'error', string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== 'code' && name !== 'state' && name !== 'iss' && name !== 'error') continue;
    // RFC 6749 §3.1: parameters must not be included more than once.
    if (found.has(name)) return undefined;
    found.set(name, value);
  }
  return found;
}
