import { ACR_VALUES } from '@countersign/model';
import type {
  AccessToken,
  Client,
  Configuration,
  KoaContextWithOIDC,
  Provider,
} from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Logins } from '../../login/logins.ts';
import { PAGE_HEADERS } from '../../login/page-headers.ts';
import { errorPage } from '../../login/pages.ts';
import type { DetailRules } from '../authorization-details/detail-rules.ts';
import { clientIdOf, loginPolicy, sessionOf } from './interaction-policy.ts';
import type { PeopleTokenRules } from './people-token-rules.ts';

/** RFC 9126 §2.2, FAPI 2.0 §5.3.2.2: codes and pushed requests live for a minute at most. */
const CODE_SECONDS = 60;
/** How long a person may take to sign in. */
const INTERACTION_SECONDS = 600;

/** Requests that people's browsers and applications make of the provider. */
export const CODE_FLOW_ROUTES: readonly RegExp[] = [
  /^POST \/request$/,
  /^POST \/token\/revocation$/,
  /^GET \/auth$/,
  /^GET \/auth\/[A-Za-z0-9_-]{1,64}$/,
];

/**
 * What people's logins change of the provider's configuration: the authorization code flow of the FAPI 2.0 Security Profile,
 * with PAR (RFC 9126), PKCE (RFC 7636), `iss` (RFC 9207), and JAR (RFC 9101) for those who sign their requests.
 */
export function withCodeFlow(
  configuration: Configuration,
  {
    logins,
    rules,
    details,
  }: {
    readonly logins: Logins;
    readonly rules: PeopleTokenRules;
    readonly details: DetailRules;
  },
): Configuration {
  const { features = {}, enabledJWA = {} } = configuration;
  const isForPeople = (client: Client | undefined) =>
    client !== undefined && rules.isForPeople(client.clientId);
  const sessionTtl = () => logins.settings.sessionTtlSeconds;
  return {
    ...configuration,
    responseTypes: ['code'],
    scopes: ['openid'],
    acrValues: ACR_VALUES.filter(
      (each) => each !== 'idp' || (logins.settings.identityProviders ?? []).length > 0,
    ),
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time'] },
    subjectTypes: ['public'],
    pkce: { required: () => true },
    enabledJWA: { ...enabledJWA, requestObjectSigningAlgValues: ['ES256', 'PS256'] },
    cookies: {
      names: {
        session: '__Host-session',
        interaction: '__Host-interaction',
        // Its path is the one place where it is needed, which `__Host-` does not allow.
        resume: '__Secure-resume',
      },
      long: { httpOnly: true, sameSite: 'lax', secure: true, path: '/' },
      short: { httpOnly: true, sameSite: 'lax', secure: true, path: '/' },
    },
    clientBasedCORS: () => false,
    assertJwtClientAuthClaimsAndHeader: async (ctx, claims, header, client) => {
      await configuration.assertJwtClientAuthClaimsAndHeader?.(ctx, claims, header, client);
      // FAPI 2.0 §5.3.2.1: one audience, the issuer; an assertion for another server's endpoint is for that.
      if (isForPeople(client) && claims['aud'] !== ctx.oidc.issuer) {
        throw new errors.InvalidClientAuth('aud is not the issuer alone');
      }
    },
    ttl: {
      ...configuration.ttl,
      AccessToken: (ctx, _token, client) => rules.ttlSeconds(ctx, client.clientId),
      AuthorizationCode: CODE_SECONDS,
      IdToken: 300,
      Interaction: INTERACTION_SECONDS,
      RefreshToken: sessionTtl,
      Grant: sessionTtl,
      Session: sessionTtl,
    },
    extraTokenClaims: async (ctx, token) =>
      token.kind === 'AccessToken'
        ? { ...(await rules.admit(ctx, token as AccessToken)) }
        : configuration.extraTokenClaims?.(ctx, token),
    // FAPI 2.0 §5.3.2.1: rotating them loses sessions and gains nothing where they are bound to a key.
    rotateRefreshToken: false,
    expiresWithSession: () => true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: async (_ctx, id) =>
      (await logins.standingOf(id)) === undefined
        ? { accountId: id, claims: async () => ({ sub: id }) }
        : undefined,
    loadExistingGrant: (ctx) => grantFor(ctx, logins),
    interactions: {
      policy: loginPolicy({
        sessions: logins.sessions,
        isLasting: (session) => logins.isLasting(session),
        clientOf: (clientId) => rules.clientOf(clientId),
        details,
      }),
      url: (_ctx, interaction) => `/interaction/${interaction.uid}`,
    },
    renderError: (ctx, out) => {
      for (const [name, value] of Object.entries(PAGE_HEADERS)) ctx.set(name, value);
      ctx.type = 'html';
      ctx.body = errorPage(String(out.error), out.error_description);
    },
    features: {
      ...features,
      fapi: { enabled: true, profile: (_ctx, client) => (isForPeople(client) ? '2.0' : undefined) },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      requestObjects: { enabled: true },
      // RFC 7009: with its refresh token an application signs its person out, everywhere.
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) =>
          token.kind === 'RefreshToken' && token.clientId === client.clientId,
      },
      resourceIndicators: {
        ...features.resourceIndicators,
        defaultResource: (ctx, client, oneOf) => {
          if (!isForPeople(client)) {
            return features.resourceIndicators?.defaultResource?.(ctx, client, oneOf) ?? [];
          }
          // RFC 8707 §2.2: of several that were granted the application says which.
          if (Array.isArray(oneOf)) throw new errors.InvalidTarget('resource is missing');
          return onlyAudience(rules, client);
        },
        getResourceServerInfo: (ctx, indicator, client) => {
          if (isForPeople(client)) return rules.resourceServer(ctx, indicator, client.clientId);
          const info = features.resourceIndicators?.getResourceServerInfo;
          if (info === undefined) throw new errors.InvalidTarget();
          return info(ctx, indicator, client);
        },
        useGrantedResource: () => true,
      },
    },
  };
}

function onlyAudience(rules: PeopleTokenRules, client: Client): string {
  const [only, ...others] = rules.audiences(client.clientId);
  if (only === undefined || others.length > 0) {
    throw new errors.InvalidTarget('resource is missing, and the client has several');
  }
  return only;
}

/** What the application asks for, granted under the person's session: the bank registered both. */
async function grantFor(ctx: KoaContextWithOIDC, logins: Logins) {
  const { accountId, uid } = sessionOf(ctx);
  if (accountId === undefined) return undefined;
  const started = (ctx.oidc.result as { login?: { personSession?: string } } | undefined)?.login
    ?.personSession;
  if (started !== undefined) await logins.sessions.attach(started, uid);
  const session = await logins.sessions.ofProvider(uid, accountId);
  if (session === undefined) return undefined;
  const clientId = clientIdOf(ctx);
  const grant = new ctx.oidc.provider.Grant({ accountId, clientId });
  const oidcScope = [...ctx.oidc.requestParamOIDCScopes].join(' ');
  if (oidcScope !== '') grant.addOIDCScope(oidcScope);
  for (const [indicator, { scopes }] of Object.entries(ctx.oidc.resourceServers ?? {})) {
    const asked = [...ctx.oidc.requestParamScopes].filter((each) => scopes.has(each));
    if (asked.length > 0) grant.addResourceScope(indicator, asked.join(' '));
  }
  const grantId = await grant.save();
  await logins.sessions.grant(grantId, { session: session.id, clientId });
  await logins.sessions.use(session);
  return grant;
}

/**
 * What the provider forgets that it granted, ends with its session, before the answer leaves: the tokens that are out are good
 * without the provider. RFC 6749 §4.1.2: a code that comes twice was stolen. RFC 7009: an application signs its person out.
 */
export function endRevokedSessions(
  provider: Provider,
  logins: Logins,
  bySubject: (clientId: string) => string,
): void {
  const revoked = new WeakMap<object, string>();
  provider.on('grant.revoked', (ctx, grantId) => void revoked.set(ctx.req, grantId));
  provider.use(async (ctx, next) => {
    await next();
    const grantId = revoked.get(ctx.req);
    const session = grantId && (await logins.sessions.sessionOfGrant(grantId));
    if (!session) return;
    const { client } = (ctx as KoaContextWithOIDC).oidc;
    await logins.endSession(
      session,
      ctx.path === '/token/revocation' && client
        ? {
            by: bySubject(client.clientId),
            reason: `signed out at ${client.clientId}`.slice(0, 200),
          }
        : { by: 'system', reason: 'a code was used twice' },
    );
  });
}
