import type { Acr, PeopleClient } from '@countersign/model';
import { errors, type Provider } from 'oidc-provider';
import { requiredAcr } from '../issuer/code-flow/interaction-policy.ts';
import { type Answer, type Exchange, readJson, refusedAnswer } from './exchange.ts';
import { satisfies } from './login-settings.ts';
import type { Logins } from './logins.ts';
import { errorPage, loginPage } from './pages.ts';
import { parseAuthentication } from './shapes.ts';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

const OVER: Answer = {
  status: 400,
  html: errorPage('This sign-in is over', 'It was finished, or waited too long.'),
};

/** Signing in to an application: `GET /interaction/<uid>`, `POST …/options`, `…/login`, `…/abort`. */
export class InteractionRoutes {
  readonly #provider: Provider;
  readonly #logins: Logins;
  readonly #clientOf: (clientId: string) => PeopleClient;

  constructor(options: {
    readonly provider: Provider;
    readonly logins: Logins;
    readonly clientOf: (clientId: string) => PeopleClient;
  }) {
    this.#provider = options.provider;
    this.#logins = options.logins;
    this.#clientOf = options.clientOf;
  }

  async page(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.#interaction(exchange, uid);
    if (interaction === undefined) return OVER;
    return {
      status: 200,
      html: loginPage({
        name: this.#logins.settings.name,
        uid,
        clientId: clientIdOf(interaction),
        isHigher: this.#needed(interaction) === 'phrh',
      }),
    };
  }

  async options(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.#interaction(exchange, uid);
    if (interaction === undefined) return refusedAnswer(400, 'over');
    const accountId = interaction.session?.accountId;
    const acr = this.#needed(interaction);
    return {
      status: 200,
      json: await this.#logins.passkeys.loginOptions({
        ...{ purpose: 'login', boundTo: uid },
        // Who is signed in already is offered the keys that help; of others nothing is told.
        ...(accountId !== undefined && acr === 'phrh' && { only: { subject: accountId, acr } }),
      }),
    };
  }

  async login(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.#interaction(exchange, uid);
    if (interaction === undefined) return refusedAnswer(400, 'over');
    const { ip, request, response } = exchange;
    const assertion = parseAuthentication(await readJson(request));
    if (assertion === undefined) return refusedAnswer(400, 'malformed');
    const login = await this.#logins.login(assertion, { purpose: 'login', boundTo: uid, ip });
    if (login === undefined) return refusedAnswer(401, 'refused');
    const clientId = clientIdOf(interaction);
    const needed = this.#needed(interaction);
    if (!satisfies(login.acr, needed)) {
      const detail = `client '${clientId}' asks for ${needed}, found ${login.acr}`;
      await this.#logins.insufficient(login, { ip, detail });
      return refusedAnswer(403, needed === 'phrh' ? 'hardware-needed' : 'refused');
    }
    const session = await this.#session(interaction, { login, ip, clientId });
    const location = await this.#provider.interactionResult(request, response, {
      login: {
        ...{ accountId: login.subject, acr: login.acr, amr: [...login.amr], remember: false },
        // When the key was touched, and not when the browser comes back with it.
        ts: Math.floor(Date.now() / 1000),
        personSession: session,
      },
    });
    return { status: 200, json: { location } };
  }

  async abort(exchange: Exchange, uid: string): Promise<Answer> {
    if ((await this.#interaction(exchange, uid)) === undefined) return refusedAnswer(400, 'over');
    const { request, response } = exchange;
    request.resume();
    const location = await this.#provider.interactionResult(request, response, {
      error: 'access_denied',
      error_description: 'the person did not sign in',
    });
    return { status: 200, json: { location } };
  }

  /** The session that goes on, or a new one in its place. */
  async #session(
    interaction: Interaction,
    {
      login,
      ip,
      clientId,
    }: {
      readonly login: NonNullable<Awaited<ReturnType<Logins['login']>>>;
      readonly ip: string;
      readonly clientId: string;
    },
  ): Promise<string> {
    const { uid: providerUid, accountId } = interaction.session ?? {};
    const known =
      providerUid !== undefined && accountId !== undefined
        ? await this.#logins.sessions.ofProvider(providerUid, accountId)
        : undefined;
    if (known?.subject === login.subject && this.#logins.isLasting(known)) {
      await this.#logins.renewSession(known, login, { ip, clientId });
      return known.id;
    }
    if (accountId !== undefined && accountId !== login.subject) {
      // Somebody else at the same desk: the one before is signed out, or either could be taken for the other.
      if (known) {
        await this.#logins.endSession(known.id, { by: login.subject, reason: 'another signed in' });
      }
      await (await this.#provider.Session.findByUid(providerUid ?? ''))?.destroy();
      interaction.session = undefined;
      await interaction.save(interaction.exp - Math.floor(Date.now() / 1000));
    }
    const { session } = await this.#logins.startSession(login, {
      ...{ ip, clientId, place: 'application' },
    });
    return session.id;
  }

  /** The interaction of this browser, when the address names the same. */
  async #interaction(
    { request, response }: Exchange,
    uid: string,
  ): Promise<Interaction | undefined> {
    try {
      const interaction = await this.#provider.interactionDetails(request, response);
      return interaction.uid === uid && interaction.prompt.name === 'login'
        ? interaction
        : undefined;
    } catch (error) {
      if (error instanceof errors.SessionNotFound) return undefined;
      throw error;
    }
  }

  #needed(interaction: Interaction): Acr {
    const client = this.#clientOf(clientIdOf(interaction));
    return requiredAcr(interaction.params['acr_values'], client);
  }
}

function clientIdOf({ params }: Interaction): string {
  return String(params['client_id']);
}
