import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock, DetailType } from '@countersign/model';
import { type Database, type FactLog, groupTransactions } from '@countersign/state';
import type { ClientCredentials, Configuration } from 'oidc-provider';
import { errors, Provider } from 'oidc-provider';
import type { TokenKeys } from '../authorities/token-keys.ts';
import type { OwnDevices } from '../devices/own-devices.ts';
import { FailureGate } from '../failure-gate.ts';
import type { ProviderLogins } from '../idp/provider-logins.ts';
import { createLoginSite } from '../login/login-site.ts';
import type { Logins } from '../login/logins.ts';
import type { Narrowings } from '../narrowings.ts';
import type { Recorder } from '../new-event.ts';
import type { Registry } from '../registry.ts';
import type { Revocations } from '../revocations.ts';
import { DetailRules } from './authorization-details/detail-rules.ts';
import { ApprovalRequests } from './ciba/approval-requests.ts';
import { Approvals } from './ciba/approvals.ts';
import { type Notify, Pings } from './ciba/pings.ts';
import { CIBA_ROUTES, type PersonOf, paceApprovals, withCiba } from './ciba/with-ciba.ts';
import { claimedClient } from './claimed-client.ts';
import { certificateOf } from './client-certificate.ts';
import { clientMetadata } from './client-metadata.ts';
import { ClientPace } from './client-pace.ts';
import { CODE_FLOW_ROUTES, endRevokedSessions, withCodeFlow } from './code-flow/code-flow.ts';
import { PeopleTokenRules } from './code-flow/people-token-rules.ts';
import { TokenExchange } from './exchange/token-exchange.ts';
import { issuedEvent } from './issued-event.ts';
import { issuerAdapter } from './issuer-adapter.ts';
import { NarrowedTokens } from './narrowed-tokens.ts';
import { assertReadable } from './readable-token.ts';
import { AUTHENTICATED_PATHS, ipOf, recordRefusals } from './record-refusals.ts';
import { readForm, SvidAssertions } from './svid-assertion.ts';
import { svidBundles } from './svid-bundles.ts';
import { answerJwks } from './token-keys/jwks-route.ts';
import { RotatingKey } from './token-keys/rotating-key.ts';
import { TokenRules } from './token-rules.ts';
import { TooOften } from './too-often.ts';

/** Issues access tokens to the bank's clients over HTTP. */
export interface Issuer {
  readonly url: string;
  /**
   * Handles a request of a TLS server with `requestCert: true, rejectUnauthorized: false`: `POST /token`,
   * `GET /jwks`, `GET /.well-known/openid-configuration` and `…/oauth-authorization-server`; where people sign in
   * `POST /request`, `GET /auth`, `POST /backchannel` and the pages for people, too; anything else is 404.
   */
  handler(request: IncomingMessage, response: ServerResponse): void;
  /** Records what nobody answered: in one process of those that issue; to be called now and then. */
  sweep(): Promise<void>;
  /** Records how many this process turned away; to be called now and then. */
  tellTurnedAway(): Promise<void>;
  /** Ends what is being sent. */
  close(): void;
}

interface IssuerOptions {
  readonly database: Database;
  readonly factLog: FactLog;
  readonly registry: Registry;
  readonly revocations: Revocations;
  readonly narrowings: Narrowings;
  /** What signs access tokens and ID tokens. */
  readonly tokenKeys: TokenKeys;
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
  /** What people see of their devices; nothing if not said. */
  readonly ownDevices?: OwnDevices;
  /** Who is meant by what a client calls them. */
  readonly personOf?: PersonOf;
  /** How clients are told that an approval was answered; absent: they are not. */
  readonly notify?: Notify | undefined;
}

const ROUTES: ReadonlySet<string> = new Set([
  'POST /token',
  'GET /.well-known/openid-configuration',
  'GET /.well-known/oauth-authorization-server',
]);
/** Beside what the provider knows: draft-ietf-oauth-spiffe-client-auth, "Client Registration Metadata". */
const SVID_METHODS = ['spiffe_x509', 'spiffe_jwt'] as const;
/** How far ahead the `exp` of a client's assertion may be: as long its `jti` is remembered. */
const ASSERTION_SECONDS_MAX = 300;

/**
 * The token endpoint: RFC 6749 §4.4 with RFC 8705, 9449, 8707, 9068 and draft-ietf-oauth-spiffe-client-auth; token exchange
 * (RFC 8693) for those who may act for others; where people sign in the code flow, too; and no other grant.
 */
export function createIssuer(given: IssuerOptions): Issuer {
  const options = { ...given, database: groupTransactions(given.database) };
  const { issuerUrl, record, factLog, registry, now, logins, idp } = options;
  const bundles = svidBundles(factLog);
  const rules = new TokenRules({ ...options, svidBundles: bundles });
  const secondsMax = ASSERTION_SECONDS_MAX;
  const assertions = new SvidAssertions({ bundles, registry, issuerUrl, secondsMax, now });
  const forPeople = logins && new PeopleTokenRules({ logins, registry, rules, now });
  const gate = new FailureGate({ record, now, listener: 'issuer' });
  const pace = new ClientPace({
    now,
    isForPeople: (clientId) => registry.client(clientId)?.client.people !== undefined,
  });
  const details = new DetailRules(options.detailTypes ?? []);
  const exchange = new TokenExchange({
    ...{ ...options, rules, details },
    customers: logins?.customers,
  });
  const narrowed = new NarrowedTokens(options.narrowings);
  const configuration = configurationOf(options, {
    ...{ rules, assertions, exchange, details, pace, narrowed },
  });
  const pings = new Pings({ notify: options.notify, record, now });
  const approvals =
    logins &&
    new Approvals({
      ...{ logins, registry, record, now },
      requests: new ApprovalRequests(options),
    });
  const forAll =
    logins && forPeople && approvals
      ? withCiba(withCodeFlow(configuration, { logins, rules: forPeople, details }), {
          ...{ approvals, rules: forPeople, pings, now },
          personOf: options.personOf ?? (async () => undefined),
        })
      : configuration;
  const provider = new Provider(issuerUrl, details.configure(exchange.configure(forAll)));
  exchange.register(provider);
  narrowed.tell(provider);
  approvals?.serve(provider);
  if (logins) endRevokedSessions(provider, logins, (id) => rules.subjectOf(id) ?? 'system');
  const refused = new WeakMap<object, errors.OIDCProviderError>();
  recordRefusals(provider, { record, rules, refused, exchange, gate });
  nameSvidMethods(provider);
  if (approvals) paceApprovals(provider, { now });
  const callback = provider.callback();
  const site =
    logins &&
    forPeople &&
    idp &&
    approvals &&
    createLoginSite({
      ...{ provider, logins, idp, details, approvals, record, now, origin: issuerUrl },
      ...{ devices: options.ownDevices, narrowings: options.narrowings },
      clientOf: (clientId) => forPeople.clientOf(clientId),
    });
  const isRoute = (route: string) =>
    ROUTES.has(route) ||
    (logins !== undefined &&
      [...CODE_FLOW_ROUTES, ...CIBA_ROUTES].some((each) => each.test(route)));
  const { host } = new URL(issuerUrl);
  return {
    url: issuerUrl,
    close: () => pings.close(),
    sweep: async () => approvals?.sweep(),
    tellTurnedAway: () => gate.sweep(),
    handler(request, response) {
      const [path] = (request.url ?? '').split('?', 1);
      // The provider derives its own URLs, which it compares with the audience of assertions and the `htu` of
      // proofs, from the Host header; and that is the caller's. What was made for another server would pass here.
      request.headers.host = host;
      if (site?.handle(request, response)) return;
      if (path === '/jwks' && request.method === 'GET') {
        answerJwks(request, response, { tokenKeys: options.tokenKeys });
        return;
      }
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
      withSvidTranslated(request, { assertions, refused, gate }).then(
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
    gate,
  }: {
    readonly assertions: SvidAssertions;
    readonly refused: WeakMap<object, errors.OIDCProviderError>;
    readonly gate: FailureGate;
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
  const waitSeconds = gate.waitSeconds(ipOf(request), claimedClient(form ?? ''));
  if (form === undefined) {
    request.resume();
    refused.set(next, new errors.InvalidRequest('the request is too long'));
  } else if (waitSeconds > 0) {
    // Before anything is verified: that costs as much for what is bad as for what is good.
    refused.set(next, new TooOften(waitSeconds, 'its network waits', { telling: 'done' }));
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
    pace,
    narrowed,
  }: {
    readonly rules: TokenRules;
    readonly assertions: SvidAssertions;
    readonly exchange: TokenExchange;
    readonly details: DetailRules;
    readonly pace: ClientPace;
    readonly narrowed: NarrowedTokens;
  },
): Configuration {
  const { database, tokenKeys, registry, now } = options;
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
    jwks: { keys: [new RotatingKey(tokenKeys)] },
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
    assertJwtClientAuthClaimsAndHeader: async (_ctx, claims, _header, client) => {
      const exp = claims['exp'];
      if (typeof exp !== 'number' || exp * 1000 > Date.now() + ASSERTION_SECONDS_MAX * 1000) {
        throw new errors.InvalidClientAuth(`exp is more than ${ASSERTION_SECONDS_MAX} s ahead`);
      }
      // Asked when the signature is good: nobody else uses up what the client has.
      pace.take(client.clientId);
    },
    ttl: {
      ClientCredentials: (ctx, _token, client) => rules.ttlSeconds(ctx, client.clientId),
    },
    extraTokenClaims: (ctx, token) => rules.admit(ctx, token as ClientCredentials),
    formats: {
      customizers: {
        jwt: async (ctx, token, { payload }) => {
          // A person's is in their own name; a client's in its subject's.
          const subject =
            token.kind === 'AccessToken' ? token.accountId : rules.subjectOf(token.clientId ?? '');
          if (subject === undefined || payload['cnf'] === undefined) {
            throw new Error('broken invariant: a token has a subject and is bound');
          }
          // RFC 9068 §2.2: without a resource owner `sub` is the client; its name among us is the SPIFFE ID.
          payload['sub'] = subject;
          narrowed.narrow(token, payload, ctx.req);
          exchange.shorten(token, payload);
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
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
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
        certificateSubjectMatches: (ctx, property, expected) => {
          const clientId = ctx.oidc.client?.clientId ?? '';
          const isIt =
            property === 'tls_client_auth_san_uri' && rules.subjectOf(clientId) === expected;
          if (isIt) pace.take(clientId);
          return isIt;
        },
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
