import { Agent, type Dispatcher } from 'undici';
import { BankError } from '../bank-error.ts';
import { type ApiAnswer, type ApiRequest, callApi } from './call-api.ts';
import type { BankEnvironment } from './environment.ts';
import { type AccessToken, obtainToken, type TokenAnswer, type TokenWish } from './obtain-token.ts';
import { loadPartner, type Partner, type PartnerName } from './partner.ts';

/** Somebody outside with connections of its own; close it when done. */
export interface Caller {
  /** Nothing for a stranger. */
  readonly partner: Partner | undefined;
  readonly dispatcher: Dispatcher;
  /** Asks for a token each time. */
  obtainToken(wish: TokenWish): Promise<TokenAnswer>;
  /** A token from before while it is good for five seconds more, else a new one; `ERR_BANK_TOKEN_REFUSED` when refused. */
  token(wish: TokenWish): Promise<AccessToken>;
  call(request: ApiRequest): Promise<ApiAnswer>;
  close(): Promise<void>;
}

/** How long before its end a token is not used any more. */
const MARGIN_MS = 5_000;

/** Opens connections as a partner, or as somebody who has no certificate and no key. */
export function openCaller(env: BankEnvironment, name?: PartnerName): Caller {
  const partner = name === undefined ? undefined : loadPartner(env.partnerFolder, name);
  const dispatcher = agentOf(env, partner);
  const kept = new Map<string, { token: AccessToken; untilMs: number }>();
  const ask = (wish: TokenWish): Promise<TokenAnswer> => {
    if (!partner) {
      throw new BankError(
        'ERR_BANK_PARTNER',
        'could not ask for a token: a stranger has no client',
      );
    }
    return obtainToken(env, { partner, dispatcher, ...wish });
  };
  return {
    partner,
    dispatcher,
    obtainToken: ask,
    token: async (wish) => {
      const key = `${wish.resource} ${wish.scope}`;
      const earlier = kept.get(key);
      if (earlier && earlier.untilMs > env.now()) return earlier.token;
      const answer = await ask(wish);
      if (answer.kind === 'refused') {
        throw new BankError(
          'ERR_BANK_TOKEN_REFUSED',
          `could not get a token: the issuer answered '${answer.error}'`,
        );
      }
      const untilMs = env.now() + answer.token.expiresInSeconds * 1000 - MARGIN_MS;
      kept.set(key, { token: answer.token, untilMs });
      return answer.token;
    },
    call: (request) => callApi(env, { partner, dispatcher, ...request }),
    close: () => dispatcher.destroy(),
  };
}

function agentOf(env: BankEnvironment, partner: Partner | undefined): Agent {
  const own =
    partner?.kind === 'certificate' ? { cert: partner.certificatePem, key: partner.keyPem } : {};
  return new Agent({
    connections: 32,
    pipelining: 1,
    maxCachedSessions: 0,
    connect: { ca: env.issuerCa, minVersion: 'TLSv1.3', timeout: 5_000, ...own },
    headersTimeout: 15_000,
    bodyTimeout: 15_000,
  });
}
