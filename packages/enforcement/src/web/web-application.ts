import type { FactView } from '@countersign/decision';
import { ACR_VALUES, type Acr } from '@countersign/model';
import { WEB_PATHS, type WebConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import { type AccessToken, verifyAccessToken } from '../authenticate/access-token.ts';
import { createFailureThrottle, type FailureThrottle } from '../authenticate/failure-throttle.ts';
import { tokenDigest } from '../authenticate/token-digest.ts';
import { LIMITS } from '../limits.ts';
import { sessionCookieName } from './cookies.ts';
import {
  createIssuerClient,
  type IssuedTokens,
  type IssuerClient,
  isFault,
} from './issuer-client.ts';
import {
  createSessionStore,
  type SessionStore,
  type SessionToken,
  type WebSession,
} from './session-store.ts';
import { createSignInSeal, createUsedStates, type SignInSeal } from './sign-in-seal.ts';
import { createSignedOut, type SignedOut } from './signed-out.ts';

/** One web application behind a listener: its sessions, and the way to the issuer. */
export interface WebApplication {
  readonly config: WebConfig;
  /** Of the point. */
  readonly point: string;
  readonly cookieName: string;
  readonly sessions: SessionStore;
  readonly issuer: IssuerClient;
  readonly seal: SignInSeal;
  readonly usedStates: { use(tag: string): boolean };
  readonly signedOut: SignedOut;
  /** Sign-ins begun, by address. */
  readonly begun: FailureThrottle;
  /** Whether a `Host` field names the application. */
  isOwnHost(host: string | undefined): boolean;
  /** The tokens that the issuer gave, as a session keeps them; in words why they are not good here. */
  admit(tokens: IssuedTokens): Promise<AdmittedTokens | string>;
  /**
   * Sees to it that the session's token is good for longer. Resolves at once while it is good, even when the next one is on its
   * way: no request waits for what it does not need, and however many ask, the issuer is asked once.
   *
   * @returns why it could not be renewed: then the session is over, or the issuer is away
   */
  keepFresh(session: WebSession): undefined | Promise<undefined | 'over' | 'unreachable'>;
  /** Ends what is idle; renews for streams that are open. @param open sessions with open streams */
  sweep(open: ReadonlySet<string>): void;
}

/** Tokens that are good here, and whose. */
export interface AdmittedTokens {
  readonly token: SessionToken;
  readonly claims: AccessToken & { readonly session: NonNullable<AccessToken['session']> };
}

/** Part of a token's life after which the next one is got. */
const RENEW_AFTER = 0.7;
/** Too short to reach anybody. */
const LEFT_MS_MIN = 1_000;
/** How long the issuer is left alone after it did not answer. */
const RETRY_MS = 2_000;

export function createWebApplication(options: {
  readonly config: WebConfig;
  readonly point: string;
  readonly authorityId: string;
  readonly workload: Pick<Workload, 'dispatcherFor'>;
  readonly facts: () => FactView;
  readonly now: () => number;
}): WebApplication {
  const { config, point, authorityId, workload, facts, now } = options;
  const { origin, audience } = config;
  const { host } = new URL(origin);
  const sessions = createSessionStore({ idleSeconds: config.idleSeconds, now });
  const issuer = createIssuerClient({
    ...{ config, authorityId, workload },
    redirectUri: `${origin}${WEB_PATHS.callback}`,
  });

  async function admit({ accessToken }: IssuedTokens): Promise<AdmittedTokens | string> {
    const claims = await verifyAccessToken(accessToken, facts());
    if ('reason' in claims) return `${claims.reason}: ${claims.detail}`;
    const { session, certificate, expiresAtMs } = claims;
    if (!session) return 'the access token names no session';
    if (!certificate) return "the access token is not bound to the point's certificate";
    if (!claims.audiences.includes(audience)) return 'the access token is for another audience';
    if (!isLevel(session.acr, config.acr)) {
      return `the person signed in at ${session.acr ?? 'no level'}, expected ${config.acr}`;
    }
    const nowMs = now();
    const renewAtMs = nowMs + Math.max(0, expiresAtMs - nowMs) * RENEW_AFTER;
    return {
      token: {
        ...{ compact: accessToken, digest: tokenDigest(accessToken), certificate },
        ...{ expiresAtMs, renewAtMs },
        ...(claims.subjectEntity && { subjectEntity: claims.subjectEntity }),
        issuerKey: { factKey: claims.keyFactKey, untilMs: expiresAtMs },
      },
      claims: { ...claims, session },
    };
  }

  async function renew(session: WebSession): Promise<void> {
    const { refreshToken } = session;
    // A sign-in that was finished meanwhile brought tokens of a grant that took the place of this one: whatever is answered
    // about this one, and it may be that there is none, is not about the session any more.
    const isOvertaken = () => session.refreshToken !== refreshToken;
    const tokens = await issuer.refresh(refreshToken);
    if (isOvertaken()) return;
    if (isFault(tokens)) {
      if (tokens.kind === 'unreachable') session.retryMs = now() + RETRY_MS;
      // The issuer gave a code to this browser, perhaps, which is on its way here: the token is good to its end, as anybody's is.
      else if (isGood(session)) session.retryMs = session.token.expiresAtMs - LEFT_MS_MIN;
      else sessions.end(session);
      return;
    }
    const admitted = await admit(tokens);
    if (isOvertaken()) return;
    if (
      typeof admitted === 'string' ||
      admitted.claims.subject.id !== session.subject ||
      admitted.claims.session.id !== session.sid
    ) {
      // What is not the session's own is nobody's.
      sessions.end(session);
      return;
    }
    session.token = admitted.token;
    session.refreshToken = tokens.refreshToken ?? session.refreshToken;
  }

  const isGood = ({ token }: WebSession) => token.expiresAtMs - now() > LEFT_MS_MIN;

  function renewOnce(session: WebSession): Promise<void> {
    session.renewal ??= renew(session).finally(() => {
      session.renewal = undefined;
    });
    return session.renewal;
  }

  const isDue = ({ token, retryMs, renewal }: WebSession, nowMs: number) =>
    nowMs >= token.renewAtMs && nowMs >= retryMs && renewal === undefined;

  return {
    ...{ config, point, sessions, issuer, admit },
    cookieName: sessionCookieName(point),
    seal: createSignInSeal(config.clientId),
    usedStates: createUsedStates(),
    signedOut: createSignedOut(),
    begun: createFailureThrottle(LIMITS.signInsOfOneAddress),
    isOwnHost(given) {
      if (given === undefined) return false;
      const lower = given.toLowerCase();
      return (
        lower === host ||
        (!host.includes(':', host.lastIndexOf(']') + 1) && lower === `${host}:443`)
      );
    },
    keepFresh(session) {
      const nowMs = now();
      if (isGood(session)) {
        if (isDue(session, nowMs)) void renewOnce(session).catch(() => undefined);
        return undefined;
      }
      if (nowMs < session.retryMs && session.renewal === undefined) {
        return Promise.resolve('unreachable');
      }
      return renewOnce(session).then(
        () => {
          if (session.isOver) return 'over';
          return session.token.expiresAtMs - now() > 0 ? undefined : 'unreachable';
        },
        () => 'unreachable',
      );
    },
    sweep(open) {
      sessions.sweep();
      const nowMs = now();
      for (const session of [...sessions.all()]) {
        if (open.has(session.sid) && isDue(session, nowMs)) {
          void renewOnce(session).catch(() => undefined);
        }
      }
    },
  };
}

/** Whether one level is enough where another is asked for: `phrh` contains `phr` (OpenID EAP ACR Values 1.0 §2), and both `idp`. */
export function isLevel(acr: string | undefined, asked: Acr): boolean {
  const levels: readonly (string | undefined)[] = ACR_VALUES;
  return levels.indexOf(acr) >= levels.indexOf(asked);
}
