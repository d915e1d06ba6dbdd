import { createHash, randomBytes } from 'node:crypto';
import { ACR_VALUES, type Challenge } from '@countersign/model';
import type { Answer, Exchange } from '../exchange.ts';
import { LIMITS } from '../limits.ts';
import { setCookie, signInCookieName, signInCookies } from './cookies.ts';
import { isFault } from './issuer-client.ts';
import { pageAnswer, redirect } from './web-answers.ts';
import type { WebApplication } from './web-application.ts';

/**
 * Sends a browser to sign in: what is asked for was pushed to the issuer (RFC 9126), and what is needed when the person comes
 * back is in a cookie that only this process reads.
 *
 * @param challenge what the session lacks, where somebody is signed in
 */
export async function beginSignIn(
  exchange: Pick<Exchange, 'head' | 'connection'>,
  web: WebApplication,
  {
    returnTo,
    challenge,
    nowMs,
    eventId,
    isAgain = false,
    cookies = [],
  }: {
    readonly returnTo: string;
    readonly challenge?: Challenge | undefined;
    readonly nowMs: number;
    readonly eventId?: string;
    readonly isAgain?: boolean;
    /** Further `Set-Cookie` values. */
    readonly cookies?: readonly string[];
  },
): Promise<Answer> {
  const { begun, config, issuer, seal, point } = web;
  const address = networkOf(exchange.connection.ip);
  // Each is a row at the issuer: a stranger must not make any number of them.
  if (begun.isThrottled(address, nowMs)) {
    return pageAnswer(
      429,
      {
        title: 'Too many sign-ins',
        text: ['Too many sign-ins were begun from this address. Wait a little, and try again.'],
      },
      { headers: ['Retry-After', String(Math.ceil(LIMITS.failureWindowMs / 1000))] },
    );
  }
  begun.failed(address, nowMs);
  const [state, nonce, verifier] = [random(), random(), random()] as const;
  const acr = challenge?.acrValues?.filter((each) =>
    (ACR_VALUES as readonly string[]).includes(each),
  );
  const pushed = await issuer.push({
    ...{ state, nonce, scope: ['openid', ...config.scopes].join(' ') },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    acr_values: acr && acr.length > 0 ? acr.join(' ') : config.acr,
    ...(challenge?.maxAgeSeconds !== undefined && {
      // Somewhat less: by whole seconds and a clock of its own the issuer could find recent what policy does not, and the
      // browser would be sent to and fro without anybody being asked.
      max_age: String(Math.max(0, challenge.maxAgeSeconds - LIMITS.clockSkewMs / 1000 - 1)),
    }),
  });
  if (isFault(pushed)) {
    return pageAnswer(
      503,
      {
        title: 'Nobody can sign in at the moment',
        text: ['The place where people sign in does not answer. Try again in a little while.'],
        ...(eventId && { eventId }),
      },
      { headers: ['Retry-After', String(LIMITS.retryAfterSeconds)] },
    );
  }
  const { tag, value } = seal.seal({
    ...{ state, nonce, verifier, returnTo },
    ...{ challenge, isAgain },
    untilMs: nowMs + LIMITS.signInMs,
  });
  const open = signInCookies(exchange.head.rawHeaders, point);
  const forgotten = open.slice(0, Math.max(0, open.length + 1 - LIMITS.signInsOfOneBrowser));
  return redirect(
    pushed.href,
    [
      ...cookies,
      ...forgotten.map((name) => setCookie(name, '', 0)),
      setCookie(signInCookieName(point, tag), value, LIMITS.signInMs / 1000),
    ],
    eventId === undefined ? [] : ['Countersign-Event-Id', eventId],
  );
}

function random(): string {
  return randomBytes(32).toString('base64url');
}

/** Of IPv6 the /64: whoever has one address there has them all. */
function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::', 2);
  const parts = head.split(':');
  const missing = tail === undefined ? 0 : 8 - parts.length - tail.split(':').length;
  const whole = [
    ...parts,
    ...Array<string>(Math.max(0, missing)).fill('0'),
    ...(tail ?? '').split(':'),
  ];
  return whole.slice(0, 4).join(':');
}
