import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Clock, PeopleClient } from '@countersign/model';
import type { Provider } from 'oidc-provider';
import type { OwnDevices } from '../devices/own-devices.ts';
import { IdpRoutes } from '../idp/idp-routes.ts';
import type { ProviderLogins } from '../idp/provider-logins.ts';
import type { DetailRules } from '../issuer/authorization-details/detail-rules.ts';
import type { Approvals } from '../issuer/ciba/approvals.ts';
import type { Narrowings } from '../narrowings.ts';
import type { Recorder } from '../new-event.ts';
import { refusalTeller } from '../refusal-teller.ts';
import { AccountRoutes } from './account-routes.ts';
import { ApprovalRoutes } from './approval-routes.ts';
import { EnrolRoutes } from './enrol-routes.ts';
import { type Answer, type Exchange, isFromOurPage, refusedAnswer, send } from './exchange.ts';
import { InteractionRoutes } from './interaction-routes.ts';
import type { Logins } from './logins.ts';
import { errorPage } from './pages.ts';

/** The pages for people, on the issuer's origin. */
export interface LoginSite {
  /** False when the request is for none of them: then nothing was done. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** Paths that name something: an interaction, an identity provider. */
const NAMED = /^\/(interaction|idp)\/([A-Za-z0-9_-]{1,64})(?:\/|$)/;
/** What comes from an identity provider or by its redirect, and not from a page of ours. */
const OF_PROVIDERS = /^\/idp\/[^/?]+\/(?:callback|backchannel-logout)(?:\?|$)/;

const LATER = 'Wait a few minutes.';

type Route = (exchange: Exchange, parameter: string) => Promise<Answer>;

/** Serves signing in, registering, and the own page; its scripts and styles come from here and nowhere else. */
export function createLoginSite(options: {
  readonly provider: Provider;
  readonly logins: Logins;
  readonly idp: ProviderLogins;
  readonly details: DetailRules;
  readonly approvals: Approvals;
  readonly devices: OwnDevices | undefined;
  readonly narrowings: Narrowings;
  readonly clientOf: (clientId: string) => PeopleClient;
  readonly origin: string;
  readonly record: Recorder;
  readonly now: Clock;
}): LoginSite {
  const { logins, approvals, origin, record } = options;
  const interaction = new InteractionRoutes(options);
  const idp = new IdpRoutes({ idp: options.idp, interactions: interaction });
  const enrol = new EnrolRoutes(logins);
  const account = new AccountRoutes(options);
  const approval = new ApprovalRoutes(account, approvals);
  const files = pageFiles();
  const tell = refusalTeller({ ...options, listener: 'issuer' });
  const routes: Readonly<Record<string, Route>> = {
    'GET /interaction/*': async (exchange, uid) => {
      const straight = await interaction.straightTo(exchange, uid);
      return straight === undefined
        ? interaction.page(exchange, uid)
        : idp.begin(exchange, uid, straight);
    },
    'GET /interaction/*/idp': (exchange, uid) => idp.begin(exchange, uid),
    'GET /idp/*/callback': (exchange, name) => idp.callback(exchange, name),
    'GET /idp/*/jwks': (_exchange, name) => idp.keys(name),
    'POST /idp/*/backchannel-logout': (exchange, name) => idp.logout(exchange, name),
    'POST /interaction/*/options': (exchange, uid) => interaction.options(exchange, uid),
    'POST /interaction/*/login': (exchange, uid) => interaction.login(exchange, uid),
    'POST /interaction/*/abort': (exchange, uid) => interaction.abort(exchange, uid),
    'GET /enrol': () => enrol.page(),
    'POST /enrol/options': (exchange) => enrol.options(exchange),
    'POST /enrol/finish': (exchange) => enrol.finish(exchange),
    'GET /account': (exchange) => account.page(exchange),
    'POST /account/options': (exchange) => account.loginOptions(exchange),
    'POST /account/login': (exchange) => account.login(exchange),
    'POST /account/logout': account.logout,
    'POST /account/session/end': account.endSession,
    'POST /account/device/end': account.endDevice,
    'POST /account/passkey/options': account.passkeyOptions,
    'POST /account/passkey/add': account.addPasskey,
    'POST /account/passkey/remove': account.removePasskey,
    'POST /account/recovery/approve': account.approveRecovery,
    'POST /account/approval/options': approval.options,
    'POST /account/approval/approve': approval.approve,
    'POST /account/approval/deny': approval.deny,
  };
  const answer = async (route: Route, exchange: Exchange, parameter: string): Promise<Answer> => {
    const { request, ip } = exchange;
    const isProviders = OF_PROVIDERS.test(request.url ?? '');
    // Coming back from a provider is as much of a try as sending a passkey.
    if (request.method === 'POST' || isProviders) {
      if (!isProviders && !isFromOurPage(request, origin)) {
        // Not as a failure of the address: whoever brings a person to a page of theirs would make the person wait.
        await tell('cross-site', { reason: 'login-cross-site', detail: fromWhere(request), ip });
        return refusedAnswer(403, 'origin');
      }
      const waitSeconds = await logins.failures.waitSeconds(ip);
      if (waitSeconds > 0) {
        const headers = { 'retry-after': String(waitSeconds) };
        return request.method === 'GET'
          ? { status: 429, html: errorPage('This did not work too often', LATER), headers }
          : { ...refusedAnswer(429, 'later'), headers };
      }
    }
    return route(exchange, parameter);
  };
  return {
    handle(request, response) {
      const [path = ''] = (request.url ?? '').split('?', 1);
      const file = request.method === 'GET' ? files.get(path) : undefined;
      if (file) {
        const headers = { 'content-type': file.type, 'cache-control': 'no-cache' };
        send(response, { status: 200, html: file.text, headers });
        return true;
      }
      const [, folder = '', uid = ''] = NAMED.exec(path) ?? [];
      const name = uid === '' ? path : path.replace(`/${folder}/${uid}`, `/${folder}/*`);
      const key = `${request.method} ${name}`;
      const route = Object.hasOwn(routes, key) ? routes[key] : undefined;
      if (route === undefined) return false;
      const exchange: Exchange = { request, response, ip: request.socket.remoteAddress ?? '' };
      answer(route, exchange, uid)
        .catch(async (error: Error): Promise<Answer> => {
          const detail = `${path.replace(uid, '…')}: ${error.message}`.slice(0, 1000);
          await record({ kind: 'alarm', alarm: 'issuer-failed', detail }).catch(() => undefined);
          return refusedAnswer(500, 'failed');
        })
        .then((made) => {
          send(response, made);
          // What is left of a content that nobody read.
          request.resume();
        })
        .catch(() => response.destroy());
      return true;
    },
  };
}

/** What a request says of the page that made it. */
function fromWhere({ headers, url = '' }: IncomingMessage): string {
  const { origin = 'none', 'content-type': type = 'none' } = headers;
  const site = headers['sec-fetch-site'] ?? 'none';
  const [path = ''] = url.split('?', 1);
  return `POST ${path.slice(0, 200)}: found origin '${origin.slice(0, 200)}', Sec-Fetch-Site '${String(site).slice(0, 50)}', content '${type.slice(0, 100)}'`;
}

interface PageFile {
  readonly type: string;
  readonly text: string;
}

function pageFiles(): ReadonlyMap<string, PageFile> {
  const ours = (name: string) =>
    readFileSync(new URL(`../../assets/${name}`, import.meta.url), 'utf8');
  const script = 'text/javascript; charset=utf-8';
  const require = createRequire(import.meta.url);
  // Its package exports modules only; the bundle for browsers lies beside them.
  const library = pathToFileURL(require.resolve('@simplewebauthn/browser'));
  const bundle = new URL('../dist/bundle/index.umd.min.js', library);
  return new Map([
    ['/login/login.js', { type: script, text: ours('login.js') }],
    ['/login/login.css', { type: 'text/css; charset=utf-8', text: ours('login.css') }],
    ['/login/simplewebauthn.js', { type: script, text: readFileSync(bundle, 'utf8') }],
  ]);
}
