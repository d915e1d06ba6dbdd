import { createHash } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@countersign/model';
import type { Database } from '@countersign/state';
import type { ClientCredentials, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { errors, Provider } from 'oidc-provider';
import { accessTokenPrivateJwk, type Keyring } from '../keyring.ts';
import { createLoginSite } from '../login/login-site.ts';
import type { Logins } from '../login/logins.ts';
import type { Recorder } from '../new-event.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import { certificateOf } from './client-certificate.ts';
import { clientMetadata } from './client-metadata.ts';
import { CODE_FLOW_ROUTES, endReplayedSessions, withCodeFlow } from './code-flow/code-flow.ts';
import { PeopleTokenRules } from './code-flow/people-token-rules.ts';
import { issuerAdapter } from './issuer-adapter.ts';
import { TokenRules } from './token-rules.ts';

/** Issues access tokens to the bank's clients over HTTP. */
export interface Issuer {
  readonly url: string;
  /**
   * Handles a request of a TLS server with `requestCert: true, rejectUnauthorized: false`: `POST /token`,
   * `GET /jwks`, `GET /.well-known/openid-configuration`; where people sign in `POST /request`, `GET /auth` and
   * the pages for people, too; anything else is 404.
   */
  handler(request: IncomingMessage, response: ServerResponse): void;
}

interface IssuerOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly keyring: Keyring;
  readonly record: Recorder;
  readonly now: Clock;
  readonly issuerUrl: string;
  readonly accessTokenTtlSeconds: number;
  /** Where people sign in; absent: they do not. */
  readonly logins?: Logins;
}

const ROUTES: ReadonlySet<string> = new Set([
  'POST /token',
  'GET /jwks',
  'GET /.well-known/openid-configuration',
]);
/** How far ahead the `exp` of a client's assertion may be: as long its `jti` is remembered. */
const ASSERTION_SECONDS_MAX = 300;

/** The token endpoint: RFC 6749 §4.4 with RFC 8705, 9449, 8707 and 9068, and no other grant. */
export function createIssuer(options: IssuerOptions): Issuer {
  const { issuerUrl, record } = options;
  const rules = new TokenRules(options);
  const { logins, registry, now } = options;
  const forPeople =
    logins &&
    new PeopleTokenRules({
      ...{ logins, registry, rules, now },
      ttlSeconds: ({ id }) => rules.ttlSeconds(id),
    });
  const configuration = configurationOf(options, rules);
  const provider = new Provider(
    issuerUrl,
    logins && forPeople ? withCodeFlow(configuration, { logins, rules: forPeople }) : configuration,
  );
  if (logins) endReplayedSessions(provider, logins);
  recordRefusals(provider, { record, rules });
  const callback = provider.callback();
  const site =
    logins &&
    forPeople &&
    createLoginSite({
      ...{ provider, logins, record, origin: issuerUrl },
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
      callback(request, response);
    },
  };
}

function configurationOf(options: IssuerOptions, rules: TokenRules): Configuration {
  const { database, keyring, registry, now } = options;
  return {
    adapter: issuerAdapter(database, {
      now,
      clientMetadata(id) {
        const client = registry.client(id);
        return client && clientMetadata(client);
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
      ClientCredentials: (_ctx, _token, client) => rules.ttlSeconds(client.clientId),
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
          // INVARIANT: nothing leaves that is not in the log.
          await options.record(issuedEvent(subject, payload));
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

function issuedEvent(subject: string, payload: Record<string, unknown>): Parameters<Recorder>[0] {
  const { jti, aud, scope, sid, client_id, exp, cnf } = payload;
  return {
    kind: 'administration',
    action: 'token-issued',
    by: subject,
    target: subject,
    detail: {
      client: String(client_id),
      jtiHash: createHash('sha256').update(String(jti)).digest('base64url'),
      audience: String(aud),
      scope: String(scope ?? ''),
      session: String(sid),
      binding: Object.keys(cnf as object).join(' '),
      expiresAtMs: Number(exp) * 1000,
    },
  };
}

/** Every refusal is recorded before its answer leaves; one that cannot be recorded is answered 500. */
function recordRefusals(
  provider: Provider,
  { record, rules }: { readonly record: Recorder; readonly rules: TokenRules },
): void {
  const causes = new WeakMap<object, Error & { error?: string; error_detail?: string }>();
  const note = (ctx: KoaContextWithOIDC, error: Error) => void causes.set(ctx.req, error);
  provider.on('grant.error', note);
  provider.on('authorization.error', note);
  provider.on('pushed_authorization_request.error', note);
  provider.on('server_error', note);
  provider.use(async (ctx, next) => {
    await next();
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
