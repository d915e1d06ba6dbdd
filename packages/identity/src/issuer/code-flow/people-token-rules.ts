import type { ClientRegistration, PeopleClient, SubjectEntity } from '@countersign/model';
import type { AccessToken, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Logins } from '../../login/logins.ts';
import type { ClientOf, Registry } from '../../registry.ts';
import type { TokenRules } from '../token-rules.ts';

/** Beside RFC 9068's: how the person signed in (RFC 9068 §2.2.1), under which session. */
export interface PersonClaims {
  readonly sid: string;
  readonly acr: string;
  readonly amr: readonly string[];
  readonly auth_time: number;
  /** What is vouched of a customer, whom points know by nothing else. */
  readonly subject_entity?: SubjectEntity;
  /** RFC 8693 §4.1: a partner or agent that people let in acts for them, and is never they. */
  readonly act?: { readonly sub: string };
}

/** The bank's rules for tokens of people, beside those for clients. */
export class PeopleTokenRules {
  readonly #logins: Logins;
  readonly #registry: Registry;
  readonly #rules: TokenRules;
  readonly #now: () => number;

  constructor(options: {
    readonly logins: Logins;
    readonly registry: Registry;
    readonly rules: TokenRules;
    readonly now: () => number;
  }) {
    this.#logins = options.logins;
    this.#registry = options.registry;
    this.#rules = options.rules;
    this.#now = options.now;
  }

  isForPeople(clientId: string): boolean {
    return this.#registry.client(clientId)?.client.people !== undefined;
  }

  clientOf(clientId: string): PeopleClient {
    return this.#registered(clientId).client.people;
  }

  /**
   * The resource that is asked for, when the application may ask for it. Scopes are looked at where they are asked for;
   * later they can only be less.
   */
  resourceServer(ctx: KoaContextWithOIDC, indicator: string, clientId: string): ResourceServer {
    const { client } = this.#registered(clientId);
    if (!client.audiences.includes(indicator)) {
      throw new errors.InvalidTarget('this resource is not registered for the client');
    }
    const scope = ctx.oidc.params?.['scope'];
    const asked = typeof scope === 'string' ? scope.split(' ').filter((each) => each !== '') : [];
    const foreign = asked.find((each) => each !== 'openid' && !client.scopes.includes(each));
    if (foreign !== undefined) {
      throw new errors.InvalidScope('this scope is not registered for the client', foreign);
    }
    return {
      scope: client.scopes.join(' '),
      audience: indicator,
      accessTokenFormat: 'jwt',
      accessTokenTTL: this.ttlSeconds(ctx, clientId),
      jwt: { sign: { alg: 'ES256' } },
    };
  }

  audiences(clientId: string): readonly string[] {
    return this.#registered(clientId).client.audiences;
  }

  ttlSeconds(ctx: KoaContextWithOIDC, clientId: string): number {
    return this.#rules.ttlSeconds(ctx, clientId);
  }

  /**
   * Everything that must hold when code or refresh token, client and proof have been checked: application and person are
   * good, the session goes on, the token is bound, and to the key of the grant's first one.
   */
  async admit(ctx: KoaContextWithOIDC, token: AccessToken): Promise<PersonClaims> {
    const clientId = token.clientId ?? '';
    const { client, registration } = this.#registered(clientId);
    const fault = await this.#logins.standingOf(registration.subject.id);
    if (fault !== undefined) throw new errors.AccessDenied(`the client: ${fault}`);
    const thumbprint = client.binding === 'mtls' ? token['x5t#S256'] : token.jkt;
    if (thumbprint === undefined) {
      throw new errors.InvalidRequest('the token would be bound to no key');
    }
    if (client.binding === 'mtls') {
      const unfit = this.#rules.certificateFault(ctx, clientId);
      if (unfit !== undefined) throw new errors.InvalidGrant(unfit);
    }
    const grantId = token.grantId ?? '';
    const session = await this.#logins.sessions.granted(grantId, clientId);
    if (session === undefined || session.subject !== token.accountId) {
      throw new errors.InvalidGrant('the session is over');
    }
    // INVARIANT: no token outlives its session, so a revocation that ends a little after it misses none.
    if (session.endsAtMs < this.#now() + this.ttlSeconds(ctx, clientId) * 1000) {
      throw new errors.InvalidGrant('the session is about to end');
    }
    const unfit = await this.#logins.standingOf(session.subject);
    if (unfit !== undefined) throw new errors.AccessDenied(`the person: ${unfit}`);
    if (!(await this.#logins.sessions.bind(grantId, this.#rules.holderOf(clientId, thumbprint)))) {
      throw new errors.InvalidGrant('the grant is bound to another key');
    }
    await this.#logins.sessions.use(session);
    // RFC 9068 §2.2.1: as they were when the code was given, or the approval, for every token that derives from it.
    const { entities } = ctx.oidc;
    const { AuthorizationCode: code, RefreshToken: refresh } = entities;
    const { acr, amr, authTime } =
      code ?? refresh ?? entities.BackchannelAuthenticationRequest ?? {};
    if (acr === undefined || amr === undefined || authTime === undefined) {
      throw new Error('broken invariant: a code or approval says how the person signed in');
    }
    const { id: actor, kind } = registration.subject;
    const entity = await this.#logins.customers.entityOf(session.subject);
    return {
      ...{ sid: session.id, acr, amr, auth_time: authTime },
      ...(entity && { subject_entity: entity }),
      ...((kind === 'partner' || kind === 'agent') && { act: { sub: actor } }),
    };
  }

  #registered(
    clientId: string,
  ): ClientOf & { readonly client: ClientRegistration & { readonly people: PeopleClient } } {
    const registered = this.#registry.client(clientId);
    if (registered?.client.people === undefined) {
      throw new errors.InvalidClient('the client is not registered for people');
    }
    return { ...registered, client: { ...registered.client, people: registered.client.people } };
  }
}
