import { createHash } from 'node:crypto';
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider';
import { errors } from 'oidc-provider';
import { requiredAcr } from '../code-flow/interaction-policy.ts';
import type { PeopleTokenRules } from '../code-flow/people-token-rules.ts';
import { UNKNOWN } from './approval-requests.ts';
import type { Approvals } from './approvals.ts';
import { bindingMessageFault } from './binding-message.ts';
import type { Pings } from './pings.ts';
import { POLL_INTERVAL_SECONDS, PollPace } from './poll-pace.ts';

/** How long a request waits at the most; `requested_expiry` may be shorter. */
const EXPIRY_SECONDS_MAX = 300;
const HINT_LENGTH_MAX = 256;

/** What clients call to ask somebody who is elsewhere. */
export const CIBA_ROUTES: readonly RegExp[] = [/^POST \/backchannel$/];

/** Who is meant by what a client calls them: a SPIFFE ID, `human/alice`, or a user name; nothing when nobody is. */
export type PersonOf = (hint: string) => Promise<string | undefined>;

/**
 * What decoupled approval changes of the provider's configuration: OpenID CIBA Core 1.0 in poll and ping mode, as the FAPI-CIBA profile has it:
 * confidential clients, a binding message always, tokens bound to a key.
 *
 * Whoever asks for somebody who is not known, or gets nothing, is answered as for anybody: it waits, and nobody approves.
 */
export function withCiba(
  configuration: Configuration,
  options: {
    readonly approvals: Approvals;
    readonly rules: PeopleTokenRules;
    readonly personOf: PersonOf;
    readonly pings: Pings;
    readonly now: () => number;
  },
): Configuration {
  const { approvals, rules, personOf, pings, now } = options;
  /** Places of requests that are being answered. */
  const places = new WeakMap<object, string>();
  const needed = (ctx: KoaContextWithOIDC) =>
    // Approvals are given with a passkey, whatever less the application is content with.
    requiredAcr(ctx.oidc.params?.['acr_values'], rules.clientOf(clientIdOf(ctx)), 'phr');
  return {
    ...configuration,
    fetch: pings.fetch,
    ttl: {
      ...configuration.ttl,
      BackchannelAuthenticationRequest: (ctx) => {
        const asked = Number(ctx.oidc.params?.['requested_expiry'] ?? EXPIRY_SECONDS_MAX);
        return Math.min(asked, EXPIRY_SECONDS_MAX);
      },
    },
    findAccount: (ctx, id, token) =>
      // Whether there is such a person, no client is told.
      ctx.oidc.route === 'backchannel_authentication'
        ? { accountId: id, claims: async () => ({ sub: id }) }
        : configuration.findAccount?.(ctx, id, token),
    features: {
      ...configuration.features,
      ciba: {
        enabled: true,
        deliveryModes: ['poll', 'ping'],
        processLoginHint: async (_ctx, hint = '') => {
          if (hint.length > HINT_LENGTH_MAX)
            throw new errors.InvalidRequest('login_hint is too long');
          const name = hint.split('/').at(-1) ?? '';
          return (await personOf(hint)) ?? `${UNKNOWN}${hashOf(name.toLowerCase())}`;
        },
        processLoginHintToken: async () => {
          throw new errors.InvalidRequest('login_hint_token is not supported');
        },
        validateRequestContext: async (_ctx, context) => {
          if (context !== undefined) {
            throw new errors.InvalidRequest('request_context is not supported');
          }
        },
        validateBindingMessage: async (ctx, message) => {
          const fault = bindingMessageFault(message);
          if (fault !== undefined) throw new errors.InvalidBindingMessage(fault);
          needed(ctx);
        },
        verifyUserCode: async (ctx, account, userCode) => {
          if (userCode !== undefined) throw new errors.InvalidRequest('user_code is not supported');
          const { params = {}, resourceServers = {}, requestParamScopes } = ctx.oidc;
          if (params['authorization_details'] !== undefined) {
            // The statement that is signed here has no words for them: nobody would have read what was approved.
            throw new errors.InvalidRequest('authorization_details are not taken here');
          }
          const [audience, ...others] = Object.keys(resourceServers);
          if (audience === undefined || others.length > 0) {
            throw new errors.InvalidTarget('expected one resource');
          }
          const place = await approvals.reserve({
            person: account.accountId,
            clientId: clientIdOf(ctx),
            scope: [...requestParamScopes].join(' '),
            audience,
            bindingMessage: String(params['binding_message']),
            acr: needed(ctx),
          });
          places.set(ctx.req, place);
        },
        triggerAuthenticationDevice: async (ctx, request) => {
          const place = places.get(ctx.req);
          if (place === undefined) throw new Error('broken invariant: a place was taken before');
          await approvals.ask(place, {
            authReqId: request.jti,
            expiresAtMs: now() + request.expiration * 1000,
          });
        },
      },
    },
  };
}

/** What the provider leaves to others of CIBA Core 1.0: §7.3 `interval`, §11 `slow_down`. */
export function paceApprovals(provider: Provider, { now }: { readonly now: () => number }): void {
  const pace = new PollPace();
  provider.use(async (ctx, next) => {
    await next();
    const body = ctx.body as Record<string, unknown> | undefined;
    if (ctx.path === '/backchannel' && ctx.status === 200 && body) {
      body['interval'] = POLL_INTERVAL_SECONDS;
      return;
    }
    if (ctx.path !== '/token' || body?.['error'] !== 'authorization_pending') return;
    const { params } = (ctx as unknown as KoaContextWithOIDC).oidc;
    if (pace.isInTime(String(params?.['auth_req_id']), now())) return;
    ctx.body = { error: 'slow_down', error_description: 'the client polls too often' };
  });
}

function clientIdOf({ oidc }: KoaContextWithOIDC): string {
  if (oidc.client === undefined) throw new Error('broken invariant: the client was found before');
  return oidc.client.clientId;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
