import type { Clock } from '@countersign/model';
import type { FactLog } from '@countersign/state';
import {
  type AccessToken,
  type ClientCredentials,
  type Configuration,
  errors,
  type Provider,
  type TokenEndpointGrantContext,
} from 'oidc-provider';
import {
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  resolveRequestedResources,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js';
import type { Customers } from '../../customers/customers.ts';
import type { Narrowing, Narrowings } from '../../narrowings.ts';
import type { ClientOf, Registry } from '../../registry.ts';
import type { Revocations } from '../../revocations.ts';
import { type DetailRules, unchanged } from '../authorization-details/detail-rules.ts';
import type { TokenRules } from '../token-rules.ts';
import { actClaim, delegationFault } from './delegation.ts';
import { jtiHash, type SubjectToken, verifySubjectToken } from './subject-token.ts';

/** RFC 8693 §2.1. */
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** RFC 8693 §3. */
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

const PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'resource',
  'audience',
  'scope',
  'authorization_details',
] as const;

type Parameters = Partial<Record<(typeof PARAMETERS)[number], string | string[]>>;
type Context = TokenEndpointGrantContext<Parameters>;

/** In whose name, and by whom, the last one first: for the record. */
export interface Chain {
  readonly subject: string;
  readonly actors: readonly string[];
}

interface Issued extends Chain {
  readonly subjectTokenHash: string;
  /** When the subject token ends, Unix time. */
  readonly expSeconds: number;
  readonly claims: Readonly<Record<string, unknown>>;
}

interface TokenExchangeOptions {
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly narrowings: Narrowings;
  readonly factLog: FactLog;
  readonly rules: TokenRules;
  readonly details: DetailRules;
  /** Absent where people do not sign in. */
  readonly customers: Customers | undefined;
  readonly issuerUrl: string;
  readonly now: Clock;
}

/**
 * Token exchange (RFC 8693) for delegation: whoever acts for somebody gets a token of that name with itself in `act`, bound to
 * its own key. INVARIANT: scope, life and who may act only shrink from one token to the next; the session stays.
 */
export class TokenExchange {
  readonly #options: TokenExchangeOptions;
  readonly #issued = new WeakMap<object, Issued>();
  readonly #chains = new WeakMap<object, Chain>();

  constructor(options: TokenExchangeOptions) {
    this.#options = options;
  }

  /** Lets the provider take the grant; what it knows of clients says who may use it. */
  register(provider: Provider): void {
    // More than one resource or audience would be one token for several (RFC 8707 §2.2): refused below, in its words.
    const several = ['resource', 'audience'];
    provider.registerGrantType<Parameters>(
      TOKEN_EXCHANGE,
      (ctx) => this.#exchange(provider, ctx),
      PARAMETERS,
      several,
    );
  }

  /** Configuration whose tokens carry what an exchange found, where they come from one. */
  configure(configuration: Configuration): Configuration {
    return {
      ...configuration,
      extraTokenClaims: async (ctx, token) => {
        const issued = this.#issued.get(token);
        return issued ? { ...issued.claims } : configuration.extraTokenClaims?.(ctx, token);
      },
    };
  }

  /** What the record says of a token beside what it says of all. */
  issued(token: object): Omit<Issued, 'claims' | 'expSeconds'> | undefined {
    return this.#issued.get(token);
  }

  /** The provider counts from when it signs, which may be in the next second: no token outlives the one that it came of. */
  shorten(token: object, payload: Record<string, unknown>): void {
    const issued = this.#issued.get(token);
    if (issued) payload['exp'] = Math.min(Number(payload['exp']), issued.expSeconds);
  }

  /** Whose token a request showed, and who would act: known from when the token was verified. */
  chainOf(request: object): Chain | undefined {
    return this.#chains.get(request);
  }

  async #exchange(provider: Provider, ctx: Context): Promise<void> {
    const { rules, details } = this.#options;
    const compact = askedFor(ctx.oidc.params);
    const { clientId } = ctx.oidc.client;
    const registered = this.#options.registry.client(clientId);
    if (registered === undefined) throw new errors.InvalidClient('the client is not registered');
    const proof = await validateDpop(provider, ctx);
    const certificate = checkMtlsCert(provider, ctx);
    checkDpopRequired(provider, ctx, proof);

    const verified = await verifySubjectToken(compact, this.#options);
    if (typeof verified === 'string') throw refused(verified);
    const { subject, session, authentication } = verified;
    const { narrowings } = this.#options;
    const subjectToken = { ...verified, scopes: narrowings.left(session, verified.scopes) };
    const actors = [registered.registration.subject.id, ...subjectToken.actors];
    this.#chains.set(ctx.req, { subject, actors });
    const fault = await delegationFault(subjectToken, registered, this.#options);
    if (fault !== undefined) throw refused(fault);

    const [resourceServer, ...others] = await resolveRequestedResources(provider, ctx);
    if (resourceServer === undefined || others.length > 0) {
      throw new errors.InvalidTarget('one resource is needed, and no more');
    }
    const token = new provider.AccessToken({
      client: ctx.oidc.client,
      accountId: subject,
      // No grant of the provider's: what ends it is the session of the subject token.
      grantId: '',
      gty: TOKEN_EXCHANGE,
      resourceServer,
      scope: scopeOf(ctx.oidc.params, subjectToken, registered),
      expiresIn: this.#seconds(ctx, subjectToken, clientId),
      rar: unchanged(details.asked(ctx), subjectToken.details),
    });
    if (certificate !== undefined) token.setThumbprint('x5t', certificate);
    if (proof !== undefined) {
      await checkDpopReplay(provider, ctx, proof, clientId);
      token.setThumbprint('jkt', proof.thumbprint);
    }
    assertOwnKey(token, subjectToken);
    // The actor's own standing, and its own session: what is refused to it as itself is refused to it for others.
    const { sid } = await rules.admit(ctx, token);
    assertLeft(token, narrowings.of(sid));
    const entity = await this.#options.customers?.entityOf(subject);
    this.#issued.set(token, {
      ...{ subject, actors },
      subjectTokenHash: jtiHash(subjectToken.jti),
      expSeconds: Math.floor(subjectToken.expiresAtMs / 1000),
      claims: {
        ...{ sid: session, ...authentication, act: actClaim(actors) },
        // As it is now, and not as the token before said.
        ...(entity && { subject_entity: entity }),
      },
    });
    ctx.oidc.entity('AccessToken', token);
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: ACCESS_TOKEN,
      token_type: token.tokenType,
      expires_in: token.expiration,
      scope: token.scope,
      ...(token.rar && { authorization_details: token.rar }),
    };
  }

  /** Never longer than the subject token, so that whatever ends that in time ends this. */
  #seconds(ctx: Context, { expiresAtMs }: SubjectToken, clientId: string): number {
    // The provider counts from a whole second by its own clock.
    const leftSeconds = Math.floor(expiresAtMs / 1000) - Math.floor(Date.now() / 1000);
    if (leftSeconds < 1) throw refused('the subject token is about to end');
    return Math.min(leftSeconds, this.#options.rules.ttlSeconds(ctx, clientId));
  }
}

/**
 * The subject token of a request that asks for what there is.
 *
 * @throws {errors.InvalidRequest} RFC 8693 §2.2.2
 */
function askedFor(params: Parameters): string {
  const { subject_token: token, subject_token_type: type } = params;
  if (typeof token !== 'string' || token === '') {
    throw new errors.InvalidRequest('subject_token is missing');
  }
  if (type !== ACCESS_TOKEN && type !== JWT) {
    throw new errors.InvalidRequest(`subject_token_type must be ${ACCESS_TOKEN} or ${JWT}`);
  }
  const { requested_token_type: requested } = params;
  if (requested !== undefined && requested !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest(`requested_token_type must be ${ACCESS_TOKEN}`);
  }
  if (params.actor_token !== undefined || params.actor_token_type !== undefined) {
    // Two actors in one request, and only one of them proved anything.
    throw new errors.InvalidRequest(
      'actor_token is not taken: the actor is the client that authenticates',
    );
  }
  const { audience } = params;
  if (audience !== undefined) {
    // RFC 8693 §2.1 has both; ours have one name, a URI.
    if (Array.isArray(audience) || (params.resource ?? audience) !== audience) {
      throw new errors.InvalidTarget('audience and resource must be one and the same');
    }
    params.resource = audience;
  }
  return token;
}

/**
 * What is asked, when both the subject token and the client's registration have it.
 *
 * @throws {errors.InvalidScope} a scope is refused, not dropped, so that nobody believes to hold it
 */
function scopeOf(params: Parameters, { scopes }: SubjectToken, { client }: ClientOf): string {
  const { scope } = params;
  const asked = typeof scope === 'string' ? scope.split(' ').filter((each) => each !== '') : [];
  if (asked.length === 0) {
    throw new errors.InvalidScope('scope is missing', '');
  }
  const wider = asked.find((each) => !scopes.includes(each));
  if (wider !== undefined) {
    throw new errors.InvalidScope('the subject token does not have this scope', wider);
  }
  const foreign = asked.find((each) => !client.scopes.includes(each));
  if (foreign !== undefined) {
    throw new errors.InvalidScope('this scope is not registered for the client', foreign);
  }
  return [...new Set(asked)].join(' ');
}

/** Two that share a key cannot be told apart, and the one before could use what the other gets. */
function assertOwnKey(token: AccessToken | ClientCredentials, { boundTo }: SubjectToken): void {
  const isShared =
    (boundTo.key !== undefined && token.jkt === boundTo.key) ||
    (boundTo.certificate !== undefined && token['x5t#S256'] === boundTo.certificate);
  if (isShared) throw refused('the actor shows the key that the subject token is bound to');
}

/**
 * Points see the session of the subject only, so what the actor's own was narrowed to is held against it here.
 *
 * @throws {errors.AccessDenied}, {errors.InvalidScope}
 */
function assertLeft({ scope }: AccessToken, own: Narrowing | undefined): void {
  if (own?.readOnly) {
    throw new errors.AccessDenied("the actor's session is narrowed to what changes nothing");
  }
  const lost = own?.scopes && scope?.split(' ').find((each) => !own.scopes?.includes(each));
  if (lost) throw new errors.InvalidScope("the actor's session is narrowed", lost);
}

/** RFC 8693 §2.2.2: `invalid_request`, whatever it is that the token is not good for; what it is, the log says. */
function refused(detail: string): errors.InvalidRequest {
  return new errors.InvalidRequest('the subject_token is not accepted', 400, detail);
}
