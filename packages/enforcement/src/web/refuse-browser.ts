import { ACR_VALUES, type Challenge, type DenialReason, type Session } from '@countersign/model';
import { WEB_PATHS } from '@countersign/policy';
import type { Answer } from '../exchange.ts';
import type { Verdict } from '../verdict.ts';
import { beginSignIn } from './begin-sign-in.ts';
import { pageOf, returnTarget } from './return-target.ts';
import { isNavigation, isPage, valuesOf } from './same-origin.ts';
import { hardened, pageAnswer } from './web-answers.ts';
import { isLevel, type WebApplication } from './web-application.ts';

/** What signing in mends. Of all else it would go round: who is known at the issuer comes back as they were. */
const BY_SIGNING_IN: ReadonlySet<DenialReason> = new Set([
  'session-missing',
  'session-revoked',
  'token-revoked',
  'token-signature',
  // The session is a device's that this connection does not show.
  'token-binding',
  'authentication-insufficient',
]);

/**
 * The answer to a refused request, for a browser: who opens a page is sent to sign in where that helps, and otherwise sees a
 * page; a script gets the problem document, and where to sign in. Nothing that was sent is ever sent again.
 */
export async function refuseBrowser(
  verdict: Verdict,
  plain: Answer,
  web: WebApplication,
  nowMs: number,
): Promise<Answer> {
  const { exchange, ruling, identity, eventId } = verdict;
  const { rawHeaders, target } = exchange.head;
  const { refusal } = ruling;
  const challenge = refusal?.challenge;
  const session = identity.kind === 'identity' ? identity.session : undefined;
  const helps =
    plain.status === 401 &&
    refusal !== undefined &&
    BY_SIGNING_IN.has(refusal.reason) &&
    // Asked again by one who is what was asked for, it would go round for ever.
    !(challenge && session && isMet(challenge, session, nowMs));
  if (helps && isNavigation(exchange)) {
    return beginSignIn(exchange, web, {
      ...{ returnTo: returnTarget(target), challenge, nowMs, eventId },
    });
  }
  const [referer] = valuesOf(rawHeaders, 'referer');
  const signIn = helps ? signInUrl(web, pageOf(referer, web.config.origin), challenge) : undefined;
  const headers = [...plain.headers, ...(plain.status === 401 ? challengeField(web) : [])];
  if (!isPage(rawHeaders) || exchange.isUpgrade) {
    const body = JSON.stringify({ ...JSON.parse(plain.body), ...(signIn && { signIn }) });
    return hardened({ ...plain, headers, body });
  }
  return pageOfProblem(
    { ...plain, headers },
    {
      eventId,
      text: [
        ...(helps && exchange.head.method !== 'GET'
          ? ['What you sent was not carried out. Sign in, and send it again.']
          : []),
      ],
      links: [
        ...(signIn === undefined ? [] : [{ href: signIn, text: 'Sign in' }]),
        { href: WEB_PATHS.logout, text: 'Sign out, or sign in as somebody else' },
      ],
    },
  );
}

/** The answer for a browser where the application gave none. */
export function browserFailure({ exchange, eventId }: Verdict, plain: Answer): Answer {
  const isShown = isPage(exchange.head.rawHeaders) && !exchange.isUpgrade;
  return isShown ? pageOfProblem(plain, { eventId }) : hardened(plain);
}

/** What a problem document says, as a page. */
function pageOfProblem(
  { status, headers, body }: Answer,
  {
    text = [],
    ...more
  }: Pick<Parameters<typeof pageAnswer>[1], 'links' | 'eventId'> & { text?: readonly string[] },
): Answer {
  const { title, detail } = JSON.parse(body) as {
    readonly title: string;
    readonly detail?: string;
  };
  const [, ...others] = contentType(headers);
  const page = { ...more, title, text: [...(detail === undefined ? [] : [detail]), ...text] };
  return pageAnswer(status, page, { headers: others });
}

/** Where a script, or a person who sent a form, can sign in. */
function signInUrl(
  { config: { origin } }: WebApplication,
  returnTo: string,
  challenge: Challenge | undefined,
): string {
  const url = new URL(WEB_PATHS.signIn, origin);
  url.searchParams.set('return', returnTo);
  if (challenge?.acrValues) url.searchParams.set('acr_values', challenge.acrValues.join(' '));
  if (challenge?.maxAgeSeconds !== undefined) {
    url.searchParams.set('max_age', String(challenge.maxAgeSeconds));
  }
  return url.href;
}

function isMet(
  { acrValues, maxAgeSeconds }: Challenge,
  { acr, authTimeMs }: Session,
  nowMs: number,
): boolean {
  const isHighEnough =
    acrValues === undefined ||
    acrValues.some((each) => each === acr || ACR_VALUES.some((a) => a === each && isLevel(acr, a)));
  const isRecent =
    maxAgeSeconds === undefined ||
    (authTimeMs !== undefined && nowMs - authTimeMs <= maxAgeSeconds * 1000);
  return isHighEnough && isRecent;
}

/** RFC 9110 §15.5.2: a 401 has a challenge; no registered scheme is for cookies. */
function challengeField({ config: { origin }, cookieName }: WebApplication): readonly string[] {
  const value = `Cookie form-action="${origin}${WEB_PATHS.signIn}", cookie-name="${cookieName}"`;
  return ['WWW-Authenticate', value];
}

/** The content type, and all other fields. */
function contentType(headers: readonly string[]): [string | undefined, ...string[]] {
  let type: string | undefined;
  const others: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [headers[index] as string, headers[index + 1] as string];
    if (name.toLowerCase() === 'content-type') type = value;
    else others.push(name, value);
  }
  return [type, ...others];
}
