import type { Provider } from 'oidc-provider';
import { type Answer, cookieOf, type Exchange, refusedAnswer } from '../login/exchange.ts';
import type { Interaction, InteractionRoutes } from '../login/interaction-routes.ts';
import { satisfies } from '../login/login-settings.ts';
import { detourPage, errorPage } from '../login/pages.ts';
import type { FinishedLogin, ProviderLogins } from './provider-logins.ts';

const COOKIE = '__Host-idp';
const COOKIE_SECONDS = 600;
const COOKIE_VALUE = /^[A-Za-z0-9_-]{43}$/;
const LOGOUT_BYTES_MAX = 96 * 1024;
const QUERY_LENGTH_MAX = 8192;

const OVER: Answer = {
  status: 400,
  html: errorPage('This sign-in is over', 'It was finished, or waited too long.'),
};

/**
 * Signing in at an identity provider: `GET /interaction/<uid>/idp?with=<name>` leads there, `GET /idp/<name>/callback` comes back;
 * `POST /idp/<name>/backchannel-logout` is the provider's own, and `GET /idp/<name>/jwks` are our client's keys for it.
 */
export class IdpRoutes {
  readonly #idp: ProviderLogins;
  readonly #interactions: InteractionRoutes;

  constructor(options: { readonly idp: ProviderLogins; readonly interactions: InteractionRoutes }) {
    this.#idp = options.idp;
    this.#interactions = options.interactions;
  }

  /** Leads to a provider; `name` from the query when it is not said. */
  async begin(exchange: Exchange, uid: string, name = queryOf(exchange).get('with') ?? '') {
    const interaction = await this.#interactions.interaction(exchange, uid);
    if (interaction === undefined) return OVER;
    return this.#begin(exchange, interaction, name);
  }

  async callback(exchange: Exchange, name: string): Promise<Answer> {
    const { request, ip } = exchange;
    const query = queryOf(exchange);
    const interaction = await this.#interactions.interaction(exchange);
    const finished: FinishedLogin = await this.#idp.finish(name, {
      ...{ query, ip, uid: interaction?.uid, cookie: keptCookie(request) },
    });
    switch (finished.kind) {
      case 'unknown':
        return { status: 404, html: errorPage('There is nothing here') };
      case 'over':
        return OVER;
      case 'again':
        return interaction ? this.#begin(exchange, interaction, name, true) : OVER;
      case 'away':
      case 'declined':
      case 'refused':
        return interaction ? detour(interaction, finished) : OVER;
      case 'person': {
        if (interaction === undefined) return OVER;
        const { login } = finished;
        const asked = this.#interactions.asked(interaction);
        if (asked.approvals.length > 0 || !satisfies(login.acr, asked.acr)) {
          const text = `client '${asked.clientId}' asks for ${asked.approvals.length > 0 ? 'an approval' : asked.acr}`;
          await this.#idp.wait(interaction.uid, { login, ip, asked: text });
          return { ...redirect(`/interaction/${interaction.uid}`), cookies: [cookie('', 0)] };
        }
        const location = await this.#interactions.complete(exchange, interaction, login);
        if (location === undefined) {
          const [provider] = this.#idp.providers.filter((each) => each.name === name);
          return detour(interaction, {
            kind: 'refused',
            displayName: provider?.displayName ?? name,
          });
        }
        return { ...redirect(location), cookies: [cookie('', 0)] };
      }
    }
  }

  /** OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8. */
  async logout({ request, ip }: Exchange, name: string): Promise<Answer> {
    const isForm = /^application\/x-www-form-urlencoded(\s*;|$)/i.test(
      request.headers['content-type'] ?? '',
    );
    const tokens = isForm
      ? new URLSearchParams(await readText(request)).getAll('logout_token')
      : [];
    const [token = ''] = tokens.length === 1 ? tokens : [];
    const outcome = await this.#idp.logout(name, { token, ip });
    switch (outcome) {
      case 'done':
        return { status: 200, json: {} };
      case 'unknown':
        return refusedAnswer(404, 'not_found');
      case 'refused':
        return refusedAnswer(400, 'invalid_request');
      case 'away':
        // Ours to mend: worth another try.
        return {
          ...refusedAnswer(503, 'temporarily_unavailable'),
          headers: { 'retry-after': '15' },
        };
    }
  }

  async keys(name: string): Promise<Answer> {
    const keys = await this.#idp.keysOf(name);
    return keys === undefined ? refusedAnswer(404, 'not_found') : { status: 200, json: keys };
  }

  async #begin(
    exchange: Exchange,
    interaction: Interaction,
    name: string,
    isAgain = false,
  ): Promise<Answer> {
    const { uid } = interaction;
    const { ip } = exchange;
    const asked = this.#interactions.asked(interaction);
    const begun = await this.#idp.begin(name, {
      ...{ uid, ip, ...asked, isFresh: isAgain || asked.isFresh },
    });
    switch (begun.kind) {
      case 'begun':
        return { ...redirect(begun.url.href), cookies: [cookie(begun.cookie, COOKIE_SECONDS)] };
      case 'away':
        return detour(interaction, begun);
      case 'over':
        return OVER;
      case 'unknown':
        return { status: 404, html: errorPage('There is nothing here') };
    }
  }
}

/** The application's request still stands: the person may try again, or take the other way. */
function detour(
  { uid }: Pick<Awaited<ReturnType<Provider['interactionDetails']>>, 'uid'>,
  {
    kind,
    displayName,
  }: { readonly kind: 'away' | 'declined' | 'refused'; readonly displayName: string },
): Answer {
  return { status: kind === 'away' ? 503 : 403, html: detourPage({ uid, kind, displayName }) };
}

function redirect(location: string): Answer {
  // 303: the next request is a GET, whatever this one was.
  return { status: 303, headers: { location } };
}

function queryOf({ request }: Exchange): URLSearchParams {
  const { url = '' } = request;
  const at = url.indexOf('?');
  return new URLSearchParams(at < 0 || url.length > QUERY_LENGTH_MAX ? '' : url.slice(at + 1));
}

/** `Lax`: the browser comes back from another site, by a link. */
function cookie(value: string, seconds: number): string {
  return `${COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${seconds}`;
}

function keptCookie(request: Exchange['request']): string | undefined {
  const value = cookieOf(request, COOKIE);
  return value !== undefined && COOKIE_VALUE.test(value) ? value : undefined;
}

async function readText(request: Exchange['request']): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LOGOUT_BYTES_MAX) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
