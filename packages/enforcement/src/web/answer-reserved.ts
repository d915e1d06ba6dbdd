import { ACR_VALUES, type Challenge, compactId, type DenialReason } from '@countersign/model';
import { WEB_PATHS } from '@countersign/policy';
import { connectionFault } from '../authenticate/edge.ts';
import { readHeaderFields } from '../describe/header-fields.ts';
import type { Answer, Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import { beginSignIn } from './begin-sign-in.ts';
import { finishSignIn } from './finish-sign-in.ts';
import { logout, logoutPage } from './logout.ts';
import { returnTarget } from './return-target.ts';
import { pageAnswer } from './web-answers.ts';
import type { WebApplication } from './web-application.ts';

/**
 * Answers what is asked at the paths that are the point's own. Nothing of it is ever sent on.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_LOG_UNAVAILABLE`
 */
export async function answerReserved(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
): Promise<void> {
  exchange.answer(await answerOf(exchange, web, context));
}

async function answerOf(
  exchange: Exchange,
  web: WebApplication,
  context: PointContext,
): Promise<Answer> {
  const { method, target, rawHeaders } = exchange.head;
  const fields = readHeaderFields(rawHeaders);
  const fault = connectionFault(exchange.connection, context.now());
  const ambiguity =
    fault?.detail ??
    fields.ambiguity ??
    (web.isOwnHost(fields.host) ? undefined : `host is not that of ${web.config.origin}`);
  if (ambiguity !== undefined) {
    const eventId = await refused('request-ambiguous', ambiguity, exchange, context);
    return pageAnswer(400, { title: 'Ambiguous request', text: [], eventId });
  }
  const [path = ''] = target.split('?', 1);
  if (!(Object.values(WEB_PATHS) as readonly string[]).includes(path) || exchange.isUpgrade) {
    return pageAnswer(404, { title: 'No such page', text: [] });
  }
  switch (`${method} ${path}`) {
    case `GET ${WEB_PATHS.callback}`:
      return finishSignIn(exchange, web, context);
    case `GET ${WEB_PATHS.signIn}`: {
      const answer = await beginSignIn(exchange, web, { ...asked(target), nowMs: context.now() });
      if (answer.status === 429) {
        await refused('authentication-throttled', 'too many sign-ins begun', exchange, context);
      }
      return answer;
    }
    case `GET ${WEB_PATHS.logout}`:
      return logoutPage(exchange, web);
    case `POST ${WEB_PATHS.logout}`:
      return logout(exchange, web, context);
    default:
      return pageAnswer(
        405,
        { title: 'No such operation', text: [] },
        { headers: ['Allow', path === WEB_PATHS.logout ? 'GET, POST' : 'GET'] },
      );
  }
}

/** What is no request of a surface has no decision: here is why it was refused. */
async function refused(
  reason: DenialReason,
  detail: string,
  { connection: { listener, ip } }: Exchange,
  { recorder }: PointContext,
): Promise<string> {
  const id = compactId();
  const event = { kind: 'authentication', id, listener, result: 'refused', reason } as const;
  await recorder.durable(
    recorder.append({ ...event, detail: detail.slice(0, 1000), ip: ip.slice(0, 64) }),
  );
  return id;
}

/** What a script was told to open: where to go on, and what the session lacks. */
function asked(target: string): {
  readonly returnTo: string;
  readonly challenge: Challenge | undefined;
} {
  const parameters = new URLSearchParams(target.slice(target.indexOf('?') + 1));
  const acrValues = (parameters.get('acr_values') ?? '')
    .split(' ')
    .filter((each) => (ACR_VALUES as readonly string[]).includes(each));
  const maxAge = parameters.get('max_age') ?? '';
  const challenge: Challenge = {
    ...(acrValues.length > 0 && { acrValues }),
    ...(/^\d{1,6}$/.test(maxAge) && { maxAgeSeconds: Number(maxAge) }),
  };
  return {
    returnTo: target.includes('?') ? returnTarget(parameters.get('return') ?? undefined) : '/',
    challenge: Object.keys(challenge).length > 0 ? challenge : undefined,
  };
}
