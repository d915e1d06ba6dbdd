import { compactId } from '@countersign/model';
import { WEB_PATHS } from '@countersign/policy';
import type { Answer, Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { findCookie, setCookie } from './cookies.ts';
import { endHere } from './finish-sign-in.ts';
import { crossSiteFault } from './same-origin.ts';
import { pageAnswer, redirect } from './web-answers.ts';
import type { WebApplication } from './web-application.ts';

/** Where people sign out, or see that they are. */
export function logoutPage(exchange: Exchange, web: WebApplication): Answer {
  const session = sessionOfBrowser(exchange, web);
  return session
    ? pageAnswer(200, {
        title: 'Sign out',
        text: [
          'This signs you out here, at the place where you signed in, and in all applications that you opened with it.',
        ],
        button: { action: WEB_PATHS.logout, text: 'Sign out' },
        links: [{ href: '/', text: 'Go back' }],
      })
    : pageAnswer(200, {
        title: 'You are signed out',
        text: ['Nobody is signed in here with this browser.'],
        links: [{ href: '/', text: 'Sign in' }],
      });
}

/**
 * Signs a person out: here at once, and at the issuer, whose revocation reaches every point.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
 */
export async function logout(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
): Promise<Answer> {
  const session = sessionOfBrowser(exchange, web);
  const eventId = compactId();
  const place = {
    ...({ kind: 'authentication', id: eventId, listener: exchange.connection.listener } as const),
    ip: exchange.connection.ip.slice(0, 64),
  };
  const gone = setCookie(web.cookieName, '', 0);
  if (!session) return redirect(`${web.config.origin}${WEB_PATHS.logout}`, [gone]);
  const who = { subject: session.subject, session: session.sid };
  const fault = crossSiteFault(exchange, { origin: web.config.origin, allowedOrigins: [] });
  if (fault) {
    const event = { ...place, ...who, result: 'refused', reason: 'request-cross-site' } as const;
    const index = context.recorder.append({ ...event, detail: fault });
    await context.recorder.durable(index);
    return pageAnswer(403, {
      title: 'Sent by another site',
      text: ['You are still signed in. Sign out on this page.'],
      links: [{ href: WEB_PATHS.logout, text: 'Sign out' }],
      eventId,
    });
  }
  // Before anybody is waited for: whatever becomes of the rest, here it is over.
  web.signedOut.note(session.sid, context.now());
  endHere(session, web, context, 'signed out');
  const failure = await web.issuer.revoke(session.refreshToken);
  const index = context.recorder.append({
    ...{ ...place, ...who, result: 'accepted', reason: 'web-session-ended' },
    detail: failure ? `here only: ${failure.detail}` : 'here, and at the issuer',
  });
  await context.recorder.durable(index);
  // What the application left in the browser is the next person's otherwise.
  const cleared = ['Clear-Site-Data', '"cache", "cookies", "storage"'];
  if (!failure) return redirect(`${web.config.origin}${WEB_PATHS.logout}`, [gone], cleared);
  return pageAnswer(
    502,
    {
      title: 'You are signed out here only',
      text: [
        'The place where you signed in does not answer. You may still be signed in there and in other applications: close the browser, or sign out there.',
      ],
      eventId,
    },
    { cookies: [gone], headers: cleared },
  );
}

function sessionOfBrowser(exchange: Exchange, web: WebApplication) {
  const cookie = findCookie(exchange.head.rawHeaders, web.cookieName);
  return cookie.kind === 'value' ? web.sessions.find(cookie.value) : undefined;
}
