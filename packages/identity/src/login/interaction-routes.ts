import type { Acr, PeopleClient } from '@countersign/model';
import { errors, type Provider } from 'oidc-provider';
import type { ProviderLogins } from '../idp/provider-logins.ts';
import {
  type Approval,
  type DetailRules,
  detailsDigest,
} from '../issuer/authorization-details/detail-rules.ts';
import { requiredAcr } from '../issuer/code-flow/interaction-policy.ts';
import type { PasskeyLogin } from '../passkeys/passkeys.ts';
import { type Answer, type Exchange, readJson, refusedAnswer } from './exchange.ts';
import { satisfies } from './login-settings.ts';
import type { Logins } from './logins.ts';
import { errorPage, loginPage, noPasskeyPage, stepUpPage } from './pages.ts';
import type { PersonLogin } from './person-login.ts';
import { parseAuthentication } from './shapes.ts';

/** A sign-in that an application began in one browser. */
export type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

const OVER: Answer = {
  status: 400,
  html: errorPage('This sign-in is over', 'It was finished, or waited too long.'),
};

/** Signing in to an application: `GET /interaction/<uid>`, `POST …/options`, `…/login`, `…/abort`. */
export class InteractionRoutes {
  readonly #provider: Provider;
  readonly #logins: Logins;
  readonly #idp: ProviderLogins;
  readonly #clientOf: (clientId: string) => PeopleClient;
  readonly #details: DetailRules;

  constructor(options: {
    readonly provider: Provider;
    readonly logins: Logins;
    readonly idp: ProviderLogins;
    readonly clientOf: (clientId: string) => PeopleClient;
    readonly details: DetailRules;
  }) {
    this.#provider = options.provider;
    this.#logins = options.logins;
    this.#idp = options.idp;
    this.#clientOf = options.clientOf;
    this.#details = options.details;
  }

  async page(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.interaction(exchange, uid);
    if (interaction === undefined) return OVER;
    const { acr, clientId, approvals } = this.asked(interaction);
    const { name } = this.#logins.settings;
    const about = { name, uid, clientId, isHigher: acr === 'phrh', approvals };
    const waiting = await this.#idp.waiting(uid);
    if (waiting === undefined) {
      return { status: 200, html: loginPage({ ...about, providers: this.#idp.providers }) };
    }
    const { displayName = '' } =
      this.#idp.providers.find((each) => each.name === waiting.provider.name) ?? {};
    const more = { ...about, displayName, subject: waiting.subject };
    const hasPasskey = await this.#idp.hasPasskey(waiting, exchange);
    return { status: 200, html: hasPasskey ? stepUpPage(more) : noPasskeyPage(more) };
  }

  /** Whom the browser is sent to without a page: nobody who waits here, asks for a choice, or needs more than the provider can prove. */
  async straightTo(exchange: Exchange, uid: string): Promise<string | undefined> {
    const interaction = await this.interaction(exchange, uid);
    if (interaction === undefined) return undefined;
    if (/\?choose$/.test(exchange.request.url ?? '')) {
      await this.#idp.forget(uid);
      return undefined;
    }
    const provider = this.#idp.straightTo;
    if (provider === undefined || (await this.#idp.waiting(uid)) !== undefined) return undefined;
    const isSignedIn = interaction.session?.accountId !== undefined;
    const { acr, approvals } = this.asked(interaction);
    return isSignedIn && (approvals.length > 0 || !this.#idp.mayProve(provider, acr))
      ? undefined
      : provider.name;
  }

  async options(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.interaction(exchange, uid);
    if (interaction === undefined) return refusedAnswer(400, 'over');
    const waiting = await this.#idp.waiting(uid);
    const accountId = waiting?.subject ?? interaction.session?.accountId;
    const { acr } = this.asked(interaction);
    return {
      status: 200,
      json: await this.#logins.passkeys.loginOptions({
        ...{ purpose: 'login', boundTo: uid, ip: exchange.ip },
        // Who is signed in already is offered the keys that help; of others nothing is told.
        ...(accountId !== undefined && acr === 'phrh' && { only: { subject: accountId, acr } }),
        ...(waiting !== undefined && acr !== 'phrh' && { only: { subject: waiting.subject } }),
      }),
    };
  }

  async login(exchange: Exchange, uid: string): Promise<Answer> {
    const interaction = await this.interaction(exchange, uid);
    if (interaction === undefined) return refusedAnswer(400, 'over');
    const { ip, request } = exchange;
    const assertion = parseAuthentication(await readJson(request));
    if (assertion === undefined) return refusedAnswer(400, 'malformed');
    const login = await this.#logins.login(assertion, { purpose: 'login', boundTo: uid, ip });
    if (login === undefined) return refusedAnswer(401, 'refused');
    const waiting = await this.#idp.waiting(uid);
    if (waiting !== undefined && waiting.subject !== login.subject) {
      await this.#idp.differs(waiting, { subject: login.subject, ip });
      return refusedAnswer(403, 'person-differs');
    }
    const { acr: needed, clientId } = this.asked(interaction);
    if (!satisfies(login.acr, needed)) {
      const detail = `client '${clientId}' asks for ${needed}, found ${login.acr}`;
      await this.#logins.insufficient(login, { ip, detail });
      return refusedAnswer(403, needed === 'phrh' ? 'hardware-needed' : 'refused');
    }
    const location = await this.complete(
      exchange,
      interaction,
      { ...login, ...(waiting && { provider: waiting.provider }) },
      login,
    );
    return location === undefined
      ? refusedAnswer(403, 'refused')
      : { status: 200, json: { location } };
  }

  /**
   * Ends the interaction with a session; says where the browser goes, or nothing when what the login stands on is not good any more.
   *
   * @param approving the passkey that signed on a page which showed what is approved; without it nothing is
   */
  async complete(
    { ip, request, response }: Exchange,
    interaction: Interaction,
    login: PersonLogin,
    approving?: PasskeyLogin,
  ): Promise<string | undefined> {
    const { provider, authTimeMs = Date.now() } = login;
    const of = provider && { subject: login.subject, provider };
    const waiting = of && (await this.#idp.waiting(interaction.uid));
    const cameMs = waiting?.authTimeMs ?? authTimeMs;
    if (of) {
      if (!(await this.#idp.settle(of, { ip, authTimeMs: cameMs }))) return undefined;
      await this.#idp.forget(interaction.uid);
    }
    const { clientId } = this.asked(interaction);
    const session = await this.#session(interaction, { login, ip, clientId });
    if (session === undefined) return undefined;
    if (of && (await this.#idp.isOvertaken(session, of, { ip, authTimeMs: cameMs }))) {
      return undefined;
    }
    const { authorization_details: details } = interaction.params;
    const approved = approving && detailsDigest(details);
    // The challenge that was signed was given out for this interaction, and its page showed these.
    if (approving && typeof details === 'string') {
      await this.#logins.approved(approving, { session, clientId, asked: details });
    }
    return this.#provider.interactionResult(request, response, {
      login: {
        ...{ accountId: login.subject, acr: login.acr, amr: [...login.amr], remember: false },
        // When the key was touched, and not when the browser comes back with it.
        ts: Math.floor(authTimeMs / 1000),
        personSession: session,
        ...(approved !== undefined && { approved }),
      },
    });
  }

  async abort(exchange: Exchange, uid: string): Promise<Answer> {
    if ((await this.interaction(exchange, uid)) === undefined) return refusedAnswer(400, 'over');
    const { request, response } = exchange;
    request.resume();
    await this.#idp.forget(uid);
    const location = await this.#provider.interactionResult(request, response, {
      error: 'access_denied',
      error_description: 'the person did not sign in',
    });
    return { status: 200, json: { location } };
  }

  /** The session that goes on, or a new one in its place; nothing when the login is good no more. */
  async #session(
    interaction: Interaction,
    {
      login,
      ip,
      clientId,
    }: {
      readonly login: PersonLogin;
      readonly ip: string;
      readonly clientId: string;
    },
  ): Promise<string | undefined> {
    const { uid: providerUid, accountId } = interaction.session ?? {};
    const known =
      providerUid !== undefined && accountId !== undefined
        ? await this.#logins.sessions.ofProvider(providerUid, accountId)
        : undefined;
    if (known?.subject === login.subject && this.#logins.isLasting(known)) {
      return (await this.#logins.renewSession(known, login, { ip, clientId }))
        ? known.id
        : undefined;
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
    const started = await this.#logins.startSession(login, {
      ...{ ip, clientId, place: 'application' },
    });
    return started?.session.id;
  }

  /** The interaction of this browser, when the address names the same or none. */
  async interaction(
    { request, response }: Exchange,
    uid?: string,
  ): Promise<Interaction | undefined> {
    try {
      const interaction = await this.#provider.interactionDetails(request, response);
      return (uid === undefined || interaction.uid === uid) && interaction.prompt.name === 'login'
        ? interaction
        : undefined;
    } catch (error) {
      if (error instanceof errors.SessionNotFound) return undefined;
      throw error;
    }
  }

  /** What the application asks for. */
  asked({ params, prompt }: Interaction): {
    readonly clientId: string;
    readonly acr: Acr;
    readonly isFresh: boolean;
    readonly maxAgeSeconds?: number;
    readonly loginHint?: string;
    /** What the person approves by it, each time with a passkey: nobody else's word is an approval. */
    readonly approvals: readonly Approval[];
  } {
    const clientId = String(params['client_id']);
    const maxAgeSeconds = Number(params['max_age'] ?? Number.NaN);
    const details = params['authorization_details'];
    const approvals = this.#details.approvals(details);
    const forDetails =
      this.#details.neededAcr(details) ?? (approvals.length > 0 ? 'phr' : undefined);
    const prompts = String(params['prompt'] ?? '').split(' ');
    return {
      clientId,
      acr: requiredAcr(params['acr_values'], this.#clientOf(clientId), forDetails),
      approvals,
      // A session that is over does not go on by another's that is not.
      isFresh:
        prompts.includes('login') || maxAgeSeconds === 0 || prompt.reasons.includes('session_over'),
      ...(Number.isFinite(maxAgeSeconds) && { maxAgeSeconds }),
      ...(typeof params['login_hint'] === 'string' && { loginHint: params['login_hint'] }),
    };
  }
}
