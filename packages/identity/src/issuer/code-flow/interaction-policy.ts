import { ACR_VALUES, type Acr, type PeopleClient } from '@countersign/model';
import * as oidc from 'oidc-provider';
import { errors, type interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import { satisfies } from '../../login/login-settings.ts';
import type { PersonSession, PersonSessions } from '../../login/person-sessions.ts';
import { type DetailRules, detailsDigest } from '../authorization-details/detail-rules.ts';

/**
 * The least level that answers a request: what the application always wants, and of `acr_values` the lowest that we know.
 *
 * @throws {errors.CustomOIDCProviderError} `unmet_authentication_requirements` when none of them is known: then no login
 *   would answer (RFC 9470 §5)
 */
export function requiredAcr(
  acrValues: unknown,
  { acr: always }: PeopleClient,
  /** What the details of the request take. */
  forDetails?: Acr,
): Acr {
  const acr = forDetails !== undefined && !satisfies(always, forDetails) ? forDetails : always;

  if (typeof acrValues !== 'string' || acrValues === '') return acr;
  const asked = acrValues.split(' ');
  const lowest = ACR_VALUES.find((each) => asked.includes(each));
  if (lowest === undefined) {
    throw new errors.CustomOIDCProviderError(
      'unmet_authentication_requirements',
      `none of the acr_values is supported, which are ${ACR_VALUES.join(' ')}`,
    );
  }
  return satisfies(lowest, acr) ? lowest : acr;
}

/**
 * When people are asked for a passkey: beside the provider's reasons, when their session has ended, and when it is not good
 * enough for what the application asks (RFC 9470 §5). Nobody is asked for consent: the bank registers its applications.
 */
export function loginPolicy(options: {
  readonly sessions: PersonSessions;
  /** Whether a session lasts for a token that is given now. */
  readonly isLasting: (session: PersonSession) => boolean;
  readonly clientOf: (clientId: string) => PeopleClient;
  readonly details: DetailRules;
}): interactionPolicy.DefaultPolicy {
  const { sessions, isLasting, clientOf, details } = options;
  const { Check, base } = oidc.interactionPolicy;
  const policy = base();
  policy.remove('consent');
  const { checks } = policy.get('login') as interactionPolicy.Prompt;
  checks.add(
    new Check('session_over', 'the session is over', 'login_required', async (ctx) => {
      const { accountId, uid } = sessionOf(ctx);
      if (accountId === undefined) return Check.NO_NEED_TO_PROMPT;
      // Also when the person is disabled: then nobody is found, and the login is refused.
      const session = ctx.oidc.account && (await sessions.ofProvider(uid, accountId));
      return session && isLasting(session) ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
    }),
  );
  checks.add(
    new Check(
      'acr_insufficient',
      'the person must be signed in at a higher level',
      'unmet_authentication_requirements',
      (ctx) => {
        const { acr_values, authorization_details } = ctx.oidc.params ?? {};
        const forDetails = details.neededAcr(authorization_details);
        const needed = requiredAcr(acr_values, clientOf(clientIdOf(ctx)), forDetails);
        return satisfies(ctx.oidc.acr, needed) ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
      },
    ),
  );
  checks.add(
    new Check(
      'details_unapproved',
      'the person must approve what is asked for',
      'login_required',
      (ctx) => {
        const asked = detailsDigest(ctx.oidc.params?.['authorization_details']);
        const { login } = (ctx.oidc.result ?? {}) as { login?: { approved?: string } };
        // Each time, with a passkey: being signed in is no approval.
        return asked === undefined || login?.approved === asked
          ? Check.NO_NEED_TO_PROMPT
          : Check.REQUEST_PROMPT;
      },
    ),
  );
  return policy;
}

/** The provider's session: who, in which browser. */
export function sessionOf(ctx: KoaContextWithOIDC): {
  readonly accountId: string | undefined;
  readonly uid: string;
} {
  const { session } = ctx.oidc;
  if (session === undefined) throw new Error('broken invariant: these endpoints have a session');
  return { accountId: session.accountId, uid: session.uid };
}

export function clientIdOf(ctx: KoaContextWithOIDC): string {
  const { client } = ctx.oidc;
  if (client === undefined) throw new Error('broken invariant: the client was found before');
  return client.clientId;
}
