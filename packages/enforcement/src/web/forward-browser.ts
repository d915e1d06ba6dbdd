import { canonical } from '../enforce/identity-headers.ts';
import type { ForwardPlan } from '../exchange.ts';
import type { Verdict } from '../verdict.ts';
import { isOurs, withoutOurCookies } from './cookies.ts';
import { HSTS } from './web-answers.ts';
import type { WebApplication } from './web-application.ts';

/** How a permitted request goes to a web application, and its answer back. */
export function browserPlan(plan: ForwardPlan, verdict: Verdict, web: WebApplication): ForwardPlan {
  return {
    ...plan,
    headers: browserHeaders(plan.headers, web),
    ownHeaders: [...(plan.ownHeaders ?? []), ...ownHeaders(verdict, web)],
    answerHeaders: [...plan.answerHeaders, ...HSTS],
    answerHeadersStripped: new Set([...plan.answerHeadersStripped, 'strict-transport-security']),
    // An application must not change whose session it is.
    isStripped: isOurCookie,
  };
}

/**
 * The header fields that a web application gets of the browser's: without the session's cookie, which is not its.
 *
 * @param headers as they go to any resource, identity headers of the caller's own stripped
 */
function browserHeaders(
  headers: readonly string[],
  { config: { userHeader } }: Pick<WebApplication, 'config'>,
): readonly string[] {
  const made: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [headers[index] as string, headers[index + 1] as string];
    if (userHeader !== undefined && canonical(name) === canonical(userHeader)) continue;
    if (name.toLowerCase() !== 'cookie') {
      made.push(name, value);
      continue;
    }
    const theirs = withoutOurCookies(value);
    if (theirs !== undefined) made.push(name, theirs);
  }
  return made;
}

/**
 * Who asks, where the application wants that in a header, and what it needs to know of how it was asked. INVARIANT: what came under
 * these names was stripped, so that this is the only word on it.
 */
function ownHeaders(
  { identity, exchange }: Pick<Verdict, 'identity' | 'exchange'>,
  { config: { userHeader, origin } }: Pick<WebApplication, 'config'>,
): readonly string[] {
  const made: string[] = [];
  made.push('X-Forwarded-Proto', 'https', 'X-Forwarded-Host', new URL(origin).host);
  made.push('X-Forwarded-For', exchange.connection.ip);
  if (userHeader !== undefined && identity.kind === 'identity') {
    made.push(userHeader, userName(identity.subject.id));
  }
  return made;
}

function isOurCookie(lowerName: string, value: string): boolean {
  return lowerName === 'set-cookie' && isOurs(value);
}

/** `alice` of `human/alice`; of anybody else the path, so that nobody is taken for an employee. */
function userName(spiffeId: string): string {
  const path = spiffeId.split('/').slice(3).join('/');
  return path.startsWith('human/') ? path.slice('human/'.length) : path;
}
