import { createHash } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock, DetailType } from '@countersign/model';
import type { Database, FactLog } from '@countersign/state';
import type { ClientCredentials, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { errors, Provider } from 'oidc-provider';
import type { ProviderLogins } from '../idp/provider-logins.ts';
import { accessTokenPrivateJwk, type Keyring } from '../keyring.ts';
import { createLoginSite } from '../login/login-site.ts';
import type { Logins } from '../login/logins.ts';
import type { Recorder } from '../new-event.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import { DetailRules } from './authorization-details/detail-rules.ts';
import { certificateOf } from './client-certificate.ts';
import { clientMetadata } from './client-metadata.ts';
import { CODE_FLOW_ROUTES, endReplayedSessions, withCodeFlow } from './code-flow/code-flow.ts';
import { PeopleTokenRules } from './code-flow/people-token-rules.ts';
import { TokenExchange } from './exchange/token-exchange.ts';
import { issuerAdapter } from './issuer-adapter.ts';
import { assertReadable } from './readable-token.ts';
import { readForm, SvidAssertions } from './svid-assertion.ts';
import { svidBundles } from './svid-bundles.ts';
import { TokenRules } from './token-rules.ts';

/** Issues access tokens to the bank's clients over HTTP. */
export interface Issuer {
  readonly url: string;
  /**
   * Handles a request of a TLS server with `requestCert: true, rejectUnauthorized: false`: `POST /token`,
   * `GET /jwks`, `GET /.well-known/openid-configuration` and `…/oauth-authorization-server`; where people sign in
   * `POST /request`, `GET /auth` and the pages for people, too; anything else is 404.
   */
  handler(request: IncomingMessage, response: ServerResponse): void;
}

interface IssuerOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly keyring: Keyring;
  readonly record: Recorder;
  readonly now: Clock;
  readonly issuerUrl: string;
  readonly accessTokenTtlSeconds: number;
  /** Types of authorization details (RFC 9396); none if not said. */
  readonly detailTypes?: readonly DetailType[];
  /** Where people sign in; absent: they do not. */
  readonly logins?: Logins;
  /** With `logins`. */
  readonly idp?: ProviderLogins;
}

const ROUTES: ReadonlySet<string> = new Set([
  'POST /token',
  'GET /jwks',
  'GET /.well-known/openid-configuration',
  'GET /.well-known/oauth-authorization-server',
]);
/** Where clients authenticate. */
const AUTHENTICATED_PATHS: ReadonlySet<string> = new Set(['/token', '/request']);
/** Beside what the provider knows: draft-ietf-oauth-spiffe-client-auth, "Client Registration Metadata". */
const SVID_METHODS = ['spiffe_x509', 'spiffe_jwt'] as const;
/** How far ahead the `exp` of a client's assertion may be: as long its `jti` is remembered. */
const ASSERTION_SECONDS_MAX = 300;

/**
 * The token endpoint: RFC 6749 §4.4 with RFC 8705, 9449, 8707, 9068 and draft-ietf-oauth-spiffe-client-auth; token exchange
 * (RFC 8693) for those who may act for others; where people sign in the code flow, too; and no other grant.
 */
export function createIssuer(options: IssuerOptions): Issuer {
  const { issuerUrl, record, factLog, registry, now, logins, idp } = options;
  const bundles = svidBundles(factLog);
  const rules = new TokenRules({ ...options, svidBundles: bundles });
  const secondsMax = ASSERTION_SECONDS_MAX;
  const assertions = new SvidAssertions({ bundles, registry, issuerUrl, secondsMax, now });
  const forPeople = logins && new PeopleTokenRules({ logins, registry, rules, now });
  const details = new DetailRules(options.detailTypes ?? []);
  const exchange = new TokenExchange({
    ...{ ...options, rules, details },
    customers: logins?.customers,
  });
  const configuration = configurationOf(options, { rules, assertions, exchange, details });
  const provider = new Provider(
    issuerUrl,
    details.configure(
      exchange.configure(
        logins && forPeople
          ? withCodeFlow(configuration, { logins, rules: forPeople, details })
          : configuration,
      ),
    ),
  );
  exchange.register(provider);
  if (logins) endReplayedSessions(provider, logins);
  const refused = new WeakMap<object, errors.OIDCProviderError>();
  recordRefusals(provider, { record, rules, refused, exchange });
  nameSvidMethods(provider);
  const callback = provider.callback();
  const site =
    logins &&
    forPeople &&
    idp &&
    createLoginSite({
      ...{ provider, logins, idp, details, record, origin: issuerUrl },
      clientOf: (clientId) => forPeople.clientOf(clientId),
    });
  const isRoute = (route: string) =>
    ROUTES.has(route) ||
    (logins !== undefined && CODE_FLOW_ROUTES.some((each) => each.test(route)));
  const { host } = new URL(issuerUrl);
  return {
    url: issuerUrl,
    handler(request, response) {
      const [path] = (request.url ?? '').split('?', 1);
      // The provider derives its own URLs, which it compares with the audience of assertions and the `htu` of
      // proofs, from the Host header; and that is the caller's. What was made for another server would pass here.
      request.headers.host = host;
      if (site?.handle(request, response)) return;
      if (!isRoute(`${request.method} ${path}`)) {
        response.writeHead(404, { 'content-type': 'application/problem+json' });
        response.end(JSON.stringify({ title: 'Not Found', status: 404 }));
        request.resume();
        return;
      }
      if (path === undefined || !AUTHENTICATED_PATHS.has(path)) {
        callback(request, response);
        return;
      }
      withSvidTranslated(request, { assertions, refused }).then(
        (next) => callback(next, response),
        (error: Error) => {
          response.destroy();
          // A client that is gone before its request was here is no fault of ours.
          if (request.errored) return;
          const detail = error.message.slice(0, 1000);
          record({ kind: 'alarm', alarm: 'issuer-failed', detail }).catch(() => undefined);
        },
      );
    },
  };
}

/** The request as the provider can take it: read once, and with an assertion of RFC 7523 in place of a JWT-SVID. */
async function withSvidTranslated(
  request: IncomingMessage,
  {
    assertions,
    refused,
  }: {
    readonly assertions: SvidAssertions;
    readonly refused: WeakMap<object, errors.OIDCProviderError>;
  },
): Promise<IncomingMessage> {
  const form = await readForm(request);
  const next = new IncomingMessage(request.socket);
  next.method = request.method ?? '';
  next.url = request.url ?? '';
  next.httpVersion = request.httpVersion;
  next.headers = { ...request.headers };
  // Whole already: else ending it would end the connection.
  next.complete = true;
  let body = form ?? '';
  if (form === undefined) {
    request.resume();
    refused.set(next, new errors.InvalidRequest('the request is too long'));
  } else if (/^application\/x-www-form-urlencoded\b/i.test(next.headers['content-type'] ?? '')) {
    const translated = await assertions.translate(form);
    if (translated.kind === 'form') body = translated.form;
    else refused.set(next, new errors.InvalidClientAuth(translated.detail));
  }
  const bytes = Buffer.from(body);
  delete next.headers['transfer-encoding'];
  next.headers['content-length'] = String(bytes.length);
  next.push(bytes);
  next.push(null);
  return next;
}

/** RFC 8414 §2: `token_endpoint_auth_methods_supported` names all of them. */
function nameSvidMethods(provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next();
    if (!ctx.path.startsWith('/.well-known/')) return;
    const metadata = ctx.body as { token_endpoint_auth_methods_supported?: string[] } | undefined;
    metadata?.token_endpoint_auth_methods_supported?.push(...SVID_METHODS);
  });
}

function configurationOf(
  options: IssuerOptions,
  {
    rules,
    assertions,
    exchange,
    details,
  }: {
    readonly rules: TokenRules;
    readonly assertions: SvidAssertions;
    readonly exchange: TokenExchange;
    readonly details: DetailRules;
  },
): Configuration {
  const { database, keyring, registry, now } = options;
  return {
    adapter: issuerAdapter(database, {
      now,
      clientMetadata(id) {
        const client = registry.client(id);
        const svidAssertionJwk = assertions.publicJwk;
        const isDetailType = (type: string) => details.has(type);
        return client && clientMetadata(client, { svidAssertionJwk, isDetailType });
      },
    }),
    jwks: { keys: [accessTokenPrivateJwk(keyring)] },
    responseTypes: [],
    scopes: [],
    clientAuthMethods: ['tls_client_auth', 'private_key_jwt'],
    // Restricting these asks for defaults that fit, or every client is invalid.
    enabledJWA: {
      clientAuthSigningAlgValues: ['ES256', 'PS256'],
      dPoPSigningAlgValues: ['ES256', 'EdDSA', 'PS256'],
      idTokenSigningAlgValues: ['ES256'],
    },
    clientDefaults: {
      id_token_signed_response_alg: 'ES256',
      grant_types: ['client_credentials'],
      response_types: [],
      token_endpoint_auth_method: 'private_key_jwt',
    },
    assertJwtClientAuthClaimsAndHeader: async (_ctx, claims) => {
      const exp = claims['exp'];
      if (typeof exp !== 'number' || exp * 1000 > Date.now() + ASSERTION_SECONDS_MAX * 1000) {
        throw new errors.InvalidClientAuth(`exp is more than ${ASSERTION_SECONDS_MAX} s ahead`);
      }
    },
    ttl: {
      ClientCredentials: (ctx, _token, client) => rules.ttlSeconds(ctx, client.clientId),
    },
    extraTokenClaims: (ctx, token) => rules.admit(ctx, token as ClientCredentials),
    formats: {
      customizers: {
        jwt: async (_ctx, token, { payload }) => {
          // A person's is in their own name; a client's in its subject's.
          const subject =
            token.kind === 'AccessToken' ? token.accountId : rules.subjectOf(token.clientId ?? '');
          if (subject === undefined || payload['cnf'] === undefined) {
            throw new Error('broken invariant: a token has a subject and is bound');
          }
          // RFC 9068 §2.2: without a resource owner `sub` is the client; its name among us is the SPIFFE ID.
          payload['sub'] = subject;
          assertReadable(payload);
          // INVARIANT: nothing leaves that is not in the log.
          const authentication = rules.authenticationOf(token.clientId ?? '') ?? '';
          const exchanged = exchange.issued(token);
          await options.record(issuedEvent(subject, { payload, authentication, exchanged }));
        },
      },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      userinfo: { enabled: false },
      introspection: { enabled: false },
      revocation: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => certificateOf(ctx.socket),
        certificateAuthorized: (ctx) => {
          const { client } = ctx.oidc;
          return client !== undefined && rules.certificateFault(ctx, client.clientId) === undefined;
        },
        // Asked after `certificateAuthorized`: the pinned certificate is the subject's, whatever it says.
        certificateSubjectMatches: (ctx, property, expected) =>
          property === 'tls_client_auth_san_uri' &&
          rules.subjectOf(ctx.oidc.client?.clientId ?? '') === expected,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, client) => rules.defaultResource(client.clientId),
        getResourceServerInfo: (ctx, indicator, client) =>
          rules.resourceServer(ctx, indicator, client.clientId),
      },
    },
  };
}

function issuedEvent(
  subject: string,
  {
    payload,
    authentication,
    exchanged,
  }: {
    readonly payload: Record<string, unknown>;
    readonly authentication: string;
    readonly exchanged: ReturnType<TokenExchange['issued']>;
  },
): Parameters<Recorder>[0] {
  const { jti, aud, scope, sid, client_id, exp, cnf, authorization_details } = payload;
  return {
    kind: 'administration',
    action: 'token-issued',
    by: exchanged?.actors[0] ?? subject,
    target: subject,
    detail: {
      client: String(client_id),
      authentication,
      jtiHash: createHash('sha256').update(String(jti)).digest('base64url'),
      audience: String(aud),
      scope: String(scope ?? ''),
      session: String(sid),
      binding: Object.keys(cnf as object).join(' '),
      expiresAtMs: Number(exp) * 1000,
      ...(authorization_details !== undefined && {
        authorizationDetails: JSON.parse(JSON.stringify(authorization_details)),
      }),
      ...(exchanged && {
        actors: [...exchanged.actors],
        subjectTokenHash: exchanged.subjectTokenHash,
      }),
    },
  };
}

/** Every refusal is recorded before its answer leaves; one that cannot be recorded is answered 500. */
function recordRefusals(
  provider: Provider,
  {
    record,
    rules,
    refused,
    exchange,
  }: {
    readonly record: Recorder;
    readonly rules: TokenRules;
    readonly exchange: TokenExchange;
    /** Requests that were refused before the provider saw them. */
    readonly refused: WeakMap<object, errors.OIDCProviderError>;
  },
): void {
  const causes = new WeakMap<
    object,
    Error & { error?: string | undefined; error_detail?: string | undefined }
  >();
  const note = (ctx: KoaContextWithOIDC, error: Error) => void causes.set(ctx.req, error);
  provider.on('grant.error', note);
  provider.on('authorization.error', note);
  provider.on('pushed_authorization_request.error', note);
  provider.on('server_error', note);
  provider.use(async (ctx, next) => {
    const early = refused.get(ctx.req);
    if (early === undefined) {
      await next();
    } else {
      causes.set(ctx.req, early);
      ctx.status = early.statusCode;
      ctx.body = { error: early.error, error_description: early.error_description };
    }
    const cause = causes.get(ctx.req);
    // An error of the authorization endpoint goes to the application as a redirect.
    const isRefused = ctx.path === '/token' ? ctx.status >= 400 : cause !== undefined;
    if (!isRefused) return;
    const client = (ctx as Partial<KoaContextWithOIDC>).oidc?.client;
    const fault =
      client?.clientAuthMethod === 'tls_client_auth'
        ? rules.certificateFault(ctx as KoaContextWithOIDC, client.clientId)
        : undefined;
    const isAuthenticated = cause?.error !== 'invalid_client' && cause !== undefined;
    const subject = isAuthenticated ? rules.subjectOf(client?.clientId ?? '') : undefined;
    // Of an exchange whose subject token was good: in whose name, and by whom.
    const chain = exchange.chainOf(ctx.req);
    const detail = [
      client && `client '${client.clientId}'`,
      (cause as { error_description?: string } | undefined)?.error_description,
      cause?.error_detail,
      fault,
      ctx.status >= 500 && cause?.message,
    ];
    const event: Parameters<Recorder>[0] = {
      kind: 'authentication',
      result: 'refused',
      reason: `issuer-${(cause?.error ?? 'server_error').replaceAll('_', '-')}`,
      detail: detail.filter(Boolean).join('; ').slice(0, 1000),
      listener: 'issuer',
      ...(subject !== undefined && { subject }),
      ...(chain && { subject: chain.subject, actors: [...chain.actors] }),
      ...(ctx.req.socket.remoteAddress && { ip: ctx.req.socket.remoteAddress }),
    };
    try {
      await record(event);
    } catch {
      ctx.status = 500;
      ctx.body = { error: 'server_error', error_description: 'the request was not carried out' };
    }
  });
  // Koa prints what it cannot answer; the answer is 500 and the record says so where it can.
  (provider as EventEmitter).on('error', (error: Error) => {
    record({ kind: 'alarm', alarm: 'issuer-failed', detail: error.message.slice(0, 1000) }).catch(
      () => undefined,
    );
  });
}
