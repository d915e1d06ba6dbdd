import { randomBytes } from 'node:crypto';
import type { Acr, Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import { AlarmThrottle } from '../alarm-throttle.ts';
import { satisfies } from '../login/login-settings.ts';
import { credentialOf, type Logins } from '../login/logins.ts';
import type { PersonLogin } from '../login/person-login.ts';
import type { Recorder } from '../new-event.ts';
import { clientKeys } from './client-credential.ts';
import { findPerson } from './find-person.ts';
import type { IdentityProvider, ProviderLogin } from './identity-provider.ts';
import { type ProviderLink, ProviderLinks } from './links.ts';
import { ProviderClient, type ProviderStanding } from './provider-client.ts';
import { meets, providerLevel } from './provider-level.ts';
import { ProviderRequests, type WaitingLogin } from './provider-requests.ts';
import { EndedAtProvider } from './provider-sessions.ts';
import type { IdTokenClaims } from './provider-token.ts';

/** What sign-ins at providers stand on. */
export interface ProviderLoginsOptions {
  readonly database: Database;
  readonly logins: Logins;
  readonly trustDomain: string;
  /** Our issuer: redirect URIs are below it. */
  readonly issuerUrl: string;
  readonly record: Recorder;
  readonly now: Clock;
}

/** What an interaction asks for. */
export interface AskedLogin {
  readonly uid: string;
  readonly acr: Acr;
  /** The application asks for it anew, or the session before is over. */
  readonly isFresh: boolean;
  /** `max_age` of the application. */
  readonly maxAgeSeconds?: number;
  /** `login_hint` of the application. */
  readonly loginHint?: string;
  readonly ip: string;
}

/** Where a browser goes to sign in elsewhere, and what it keeps meanwhile. */
export type BegunLogin =
  | { readonly kind: 'begun'; readonly url: URL; readonly cookie: string }
  | { readonly kind: 'away'; readonly displayName: string }
  /** `over`: the interaction asked too often. */
  | { readonly kind: 'unknown' | 'over' };

/** What a browser came back with. */
export type FinishedLogin =
  | { readonly kind: 'person'; readonly login: PersonLogin & { readonly provider: ProviderLogin } }
  /** The session there is older than what was ended here. */
  | { readonly kind: 'again' }
  | { readonly kind: 'over' | 'unknown' }
  | {
      readonly kind: 'refused' | 'declined' | 'away';
      readonly displayName: string;
    };

/** What came of a logout token. */
export type LogoutOutcome = 'done' | 'refused' | 'away' | 'unknown';

/** How long a provider's client goes on that one of other words took the place of: who signs in by it at the moment has a while. */
const REPLACED_MS = 30_000;

/** People who sign in at the bank's identity providers: their word, mapped, for people whom the bank knows. Each outcome is an event. */
export class ProviderLogins {
  readonly #options: ProviderLoginsOptions;
  /** By name; of which words of the repository each is. */
  readonly #clients = new Map<string, { readonly said: string; readonly client: ProviderClient }>();
  readonly #requests: ProviderRequests;
  readonly #ended: EndedAtProvider;
  readonly #alarms = new AlarmThrottle();
  readonly links: ProviderLinks;

  constructor(options: ProviderLoginsOptions) {
    this.#options = options;
    this.#requests = new ProviderRequests(options);
    this.#ended = new EndedAtProvider(options);
    this.links = new ProviderLinks(options);
  }

  /** As the bank has them now. */
  get providers(): readonly IdentityProvider[] {
    return this.#options.logins.settings.identityProviders ?? [];
  }

  /** Where people are sent without being asked; nothing when the provider cannot prove what is wanted and a session goes on. */
  get straightTo(): IdentityProvider | undefined {
    const { straightTo } = this.#options.logins.settings;
    return straightTo === undefined ? undefined : this.#named(straightTo);
  }

  /** Whether a provider's word may be enough, by the bank's mapping. */
  mayProve({ acr }: IdentityProvider, needed: Acr): boolean {
    return satisfies('idp', needed) || Object.values(acr).some((each) => satisfies(each, needed));
  }

  /** The public keys of our client at a provider; nothing when there is no such provider. */
  async keysOf(name: string) {
    const provider = this.#named(name);
    return provider && { keys: await clientKeys(provider) };
  }

  /** How each provider is, as far as is known. */
  standings(): readonly ProviderStanding[] {
    return this.providers.map((provider) => this.#client(provider).standing);
  }

  /** Looks whether each provider can be used, without anybody who signs in; takes files that were renewed. */
  async look(): Promise<void> {
    await Promise.all(this.providers.map((provider) => this.#client(provider).look()));
  }

  async begin(name: string, asked: AskedLogin): Promise<BegunLogin> {
    const provider = this.#named(name);
    if (provider === undefined) return { kind: 'unknown' };
    if (await this.#requests.isFull(asked.uid)) return { kind: 'over' };
    const maxAgeSeconds = asked.isFresh
      ? 0
      : Math.min(provider.maxAgeSeconds, asked.maxAgeSeconds ?? provider.maxAgeSeconds);
    const nowMs = this.#options.now();
    const begun = await this.#client(provider).begin({
      acrValues: satisfies('idp', asked.acr)
        ? []
        : Object.keys(provider.acr).filter((each) => satisfies(provider.acr[each], asked.acr)),
      ...{ maxAgeSeconds, isFresh: asked.isFresh, loginHint: asked.loginHint },
    });
    if (begun.kind === 'away') return this.#away(provider, { fault: begun.fault, ip: asked.ip });
    const cookie = randomBytes(32).toString('base64url');
    await this.#requests.add(begun.request, {
      ...{ provider: name, uid: asked.uid, cookie, notBeforeMs: nowMs - maxAgeSeconds * 1000 },
    });
    // Who goes there again is not who waits here.
    await this.#requests.forget(asked.uid);
    return { kind: 'begun', url: begun.url, cookie };
  }

  /** @param query of the callback; `uid` and `cookie` are the browser's, if it has them */
  async finish(
    name: string,
    {
      query,
      ip,
      uid = '',
      cookie = '',
    }: {
      readonly query: URLSearchParams;
      readonly ip: string;
      readonly uid?: string | undefined;
      readonly cookie?: string | undefined;
    },
  ): Promise<FinishedLogin> {
    const { logins } = this.#options;
    const provider = this.#named(name);
    if (provider === undefined) return { kind: 'unknown' };
    const { displayName } = provider;
    const state = query.getAll('state');
    const taken =
      state.length === 1
        ? await this.#requests.take({ state: state[0] ?? '', provider: name, uid, cookie })
        : { fault: `found ${state.length} states, expected one` };
    if ('fault' in taken) {
      await logins.refuse('idp-state', { ip, detail: detailOf(provider, taken.fault) });
      return { kind: 'over' };
    }
    const answer = await this.#client(provider).finish(query, taken);
    switch (answer.kind) {
      case 'away':
        return this.#away(provider, { fault: answer.fault, ip });
      case 'declined':
        await logins.note('idp-declined', { ip, detail: detailOf(provider, answer.error) });
        return { kind: 'declined', displayName };
      case 'refused':
        await logins.refuse('idp-invalid', { ip, detail: detailOf(provider, answer.fault) });
        return { kind: 'refused', displayName };
      case 'claims':
        return this.#person(provider, { claims: answer.claims, ip });
    }
  }

  /** The person is asked for a passkey next, in the same interaction. */
  async wait(
    uid: string,
    {
      login,
      ip,
      asked,
    }: {
      readonly login: PersonLogin & { readonly provider: ProviderLogin };
      readonly ip: string;
      readonly asked: string;
    },
  ): Promise<void> {
    const { subject, provider, authTimeMs = this.#options.now() } = login;
    await this.#options.logins.insufficient(login, {
      ip,
      detail: `${asked}, found ${login.acr} by identity provider '${provider.name}': asked for a passkey`,
    });
    await this.#requests.wait(uid, { subject, provider, authTimeMs });
  }

  waiting(uid: string): Promise<WaitingLogin | undefined> {
    return this.#requests.waiting(uid);
  }

  /** The person signs in at ours from the beginning. */
  forget(uid: string): Promise<void> {
    return this.#requests.forget(uid);
  }

  /** Whether the person has a passkey to be asked for; that there is none is recorded. */
  async hasPasskey({ subject, provider }: WaitingLogin, { ip }: { readonly ip: string }) {
    const { logins } = this.#options;
    const passkeys = await logins.passkeys.list(subject);
    if (passkeys.some(({ disabledAtMs }) => disabledAtMs === undefined)) return true;
    const detail = `came by identity provider '${provider.name}', and has no passkey in use`;
    await logins.note('passkey-missing', { ip, detail, subject });
    return false;
  }

  /**
   * Before a session begins that stands on a provider: nothing of it ended meanwhile, and the account there is the person's from now
   * on. False when it is not, which is recorded.
   */
  async settle(
    { subject, provider }: { readonly subject: string; readonly provider: ProviderLogin },
    { ip, authTimeMs }: { readonly ip: string; readonly authTimeMs: number },
  ): Promise<boolean> {
    const { logins, record } = this.#options;
    if (await this.#ended.covers(provider, authTimeMs)) {
      const detail = `identity provider '${provider.name}' ended the session meanwhile`;
      await logins.note('idp-logged-out', { ip, detail, subject });
      return false;
    }
    const state = await this.links.stateOf(provider, subject);
    if (state === 'free') {
      await record({
        ...{ kind: 'administration', action: 'idp-linked', by: subject, target: subject },
        detail: { provider: provider.name, issuer: provider.issuer, account: provider.sub },
      });
    }
    if (await this.links.pin(provider, subject)) return true;
    await this.#foreignAccount(provider, { subject, ip, state });
    return false;
  }

  /** After a session began: whether the provider ended what it stands on in between; then it is over, too. */
  async isOvertaken(
    session: string,
    { subject, provider }: { readonly subject: string; readonly provider: ProviderLogin },
    { ip, authTimeMs }: { readonly ip: string; readonly authTimeMs: number },
  ): Promise<boolean> {
    if (!(await this.#ended.covers(provider, authTimeMs))) return false;
    const { logins } = this.#options;
    const reason = `signed out at ${provider.name}`;
    await logins.endSession(session, { by: `idp:${provider.name}`, reason });
    const detail = `identity provider '${provider.name}' ended the session as it began`;
    await logins.note('idp-logged-out', { ip, detail, subject });
    return true;
  }

  /** Somebody else answered with a passkey than who came by the provider. */
  async differs(waiting: WaitingLogin, { subject, ip }: { subject: string; ip: string }) {
    const detail = `came by identity provider '${waiting.provider.name}' as ${waiting.subject}, and answered as ${subject}`;
    await this.#options.logins.refuse('idp-person-differs', { ip, detail, subject });
  }

  /** OpenID Connect Back-Channel Logout 1.0 §2.7: ends what stands on a session there, or on an account. */
  async logout(
    name: string,
    { token, ip }: { readonly token: string; readonly ip: string },
  ): Promise<LogoutOutcome> {
    const { logins, record } = this.#options;
    const provider = this.#named(name);
    if (provider === undefined) return 'unknown';
    const verified = await this.#client(provider).logout(token);
    if ('kind' in verified) {
      await this.#away(provider, { fault: verified.fault, ip });
      return 'away';
    }
    const { issuer } = provider;
    const isReplayed = verified.isGood && (await this.#ended.isKnown(issuer, verified.claims));
    if (!verified.isGood || isReplayed) {
      const fault = verified.isGood ? 'found it taken before' : verified.fault;
      await logins.refuse('idp-logout-token', { ip, detail: detailOf(provider, fault) });
      return 'refused';
    }
    const { claims } = verified;
    const by = `idp:${name}`;
    // First: a login that is on its way sees it here, or is seen below.
    await this.#ended.note(issuer, { ...claims, jti: `begun ${claims.jti}` });
    let ended = 0;
    for (const id of await this.links.sessionsOf({ issuer, ...claims })) {
      if (await logins.endSession(id, { by, reason: `signed out at ${name}` })) ended += 1;
    }
    const subject = claims.sub && (await this.links.subjectOf({ issuer, sub: claims.sub }));
    await record({
      ...{ kind: 'administration', action: 'idp-logout', by },
      ...(subject && { target: subject }),
      detail: {
        provider: name,
        jti: claims.jti,
        sessions: ended,
        ...(claims.sid && { sid: claims.sid }),
      },
    });
    // Last: after a crash in between the provider's next try does what is left.
    await this.#ended.note(issuer, claims);
    return 'done';
  }

  /** Ends every session that stands on a provider, be it configured or not: for when it is not to be believed any more. Says how many. */
  async endAll(
    name: string,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<number> {
    const { logins, record } = this.#options;
    await record({
      ...{ kind: 'administration', action: 'idp-sessions-ended', by, target: name },
      detail: { reason },
    });
    // First, as with a logout. Of one that is configured no more nobody is on the way.
    const provider = this.#named(name);
    if (provider) await this.#ended.noteAll(provider.issuer);
    let ended = 0;
    for (const id of await this.links.sessionsBy(name)) {
      if (await logins.endSession(id, { by, reason: `by ${name}: ${reason}` })) ended += 1;
    }
    return ended;
  }

  /** Takes an account there from its person, with the sessions that stand on it; the next one that signs in may become theirs. */
  async unlink(
    link: Pick<ProviderLink, 'issuer' | 'sub' | 'provider' | 'subject'>,
    { reason, by }: { readonly reason: string; readonly by: string },
  ): Promise<number> {
    const { logins, record } = this.#options;
    await record({
      ...{ kind: 'administration', action: 'idp-unlinked', by, target: link.subject },
      detail: { provider: link.provider, issuer: link.issuer, account: link.sub, reason },
    });
    await this.links.remove(link);
    let ended = 0;
    for (const id of await this.links.sessionsOf({ issuer: link.issuer, sub: link.sub })) {
      if (await logins.endSession(id, { by, reason: `unlinked: ${reason}` })) ended += 1;
    }
    return ended;
  }

  async #person(
    provider: IdentityProvider,
    { claims, ip }: { readonly claims: IdTokenClaims; readonly ip: string },
  ): Promise<FinishedLogin> {
    const { logins, database, trustDomain } = this.#options;
    const { name, displayName, issuer, requires } = provider;
    const refused = { kind: 'refused', displayName } as const;
    const found = await findPerson(claims, { provider, database, trustDomain });
    if ('fault' in found) {
      await logins.refuse('idp-person-unknown', { ip, detail: detailOf(provider, found.fault) });
      return refused;
    }
    const { subject } = found;
    const fault = await logins.standingOf(subject);
    if (fault !== undefined) {
      await logins.refuse(fault, { ip, detail: detailOf(provider, 'it gets no session'), subject });
      return refused;
    }
    if (requires !== undefined && !meets(claims, requires)) {
      const detail = detailOf(provider, `found none of what is required in '${requires.claim}'`);
      await logins.refuse('idp-not-admitted', { ip, detail, subject });
      return refused;
    }
    const login: ProviderLogin = {
      ...{ name, issuer, sub: claims.sub },
      ...(claims.sid !== undefined && { sid: claims.sid }),
    };
    const state = await this.links.stateOf(login, subject);
    if (state === 'account-of-another' || state === 'person-of-another') {
      await this.#foreignAccount(login, { subject, ip, state });
      return refused;
    }
    // Its clock may be ahead a little; nobody signed in after now.
    const authTimeMs = Math.min(claims.auth_time * 1000, this.#options.now());
    // To the second, as `auth_time` is.
    if (authTimeMs + 1000 <= (await this.#ended.lastEndedMs(login, subject))) {
      return { kind: 'again' };
    }
    return {
      kind: 'person',
      login: {
        ...{ subject, provider: login, credentialId: credentialOf(login), authTimeMs },
        ...providerLevel(claims, provider),
      },
    };
  }

  /** Somebody has a name now that was another's, or takes it. */
  async #foreignAccount(
    { name, issuer, sub }: ProviderLogin,
    {
      subject,
      ip,
      state,
    }: { readonly subject: string; readonly ip: string; readonly state: string },
  ): Promise<void> {
    const detail =
      state === 'account-of-another'
        ? `account '${sub}' of identity provider '${name}' is linked to somebody else`
        : `${subject} is linked to another account of identity provider '${name}' than '${sub}'`;
    await this.#options.logins.refuse('idp-link', { ip, detail, subject });
    // An alarm is for everybody who may read the record: the account's name there is a person's, and stays in the event.
    const about = `identity provider '${name}': an account that is not the linked one came as ${subject}`;
    await this.#alarm('idp-account-changed', `${issuer} ${subject}`, about);
  }

  async #away(
    { name, displayName }: IdentityProvider,
    { fault, ip }: { readonly fault: string; readonly ip: string },
  ): Promise<{ readonly kind: 'away'; readonly displayName: string }> {
    const detail = `identity provider '${name}': ${fault}`;
    await this.#options.logins.note('idp-unreachable', { ip, detail });
    await this.#alarm('idp-unreachable', name, detail);
    return { kind: 'away', displayName };
  }

  async #alarm(alarm: string, about: string, detail: string): Promise<void> {
    const leftOut = this.#alarms.take(`${alarm} ${about}`, this.#options.now());
    if (leftOut === undefined) return;
    const more = leftOut > 0 ? `; ${leftOut} like it were left out` : '';
    await this.#options.record({
      kind: 'alarm',
      alarm,
      detail: `${detail.slice(0, 900)}${more}`,
    });
  }

  #named(name: string): IdentityProvider | undefined {
    return this.providers.find((each) => each.name === name);
  }

  #client(provider: IdentityProvider): ProviderClient {
    const known = this.#clients.get(provider.name);
    // `apply` reads all anew; what is the same goes on as it is, with what is known of it.
    const said = JSON.stringify(provider);
    if (known?.said === said) return known.client;
    if (known) setTimeout(() => void known.client.close(), REPLACED_MS).unref();
    const { issuerUrl, now } = this.#options;
    const redirectUri = `${issuerUrl}/idp/${provider.name}/callback`;
    const client = new ProviderClient(provider, { redirectUri, now });
    this.#clients.set(provider.name, { said, client });
    return client;
  }
}

function detailOf({ name }: IdentityProvider, fault: string): string {
  return `identity provider '${name}': ${fault}`;
}
