import type { WebConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import { decodePem } from '@countersign/spiffe';
import { request } from 'undici';
import { LIMITS } from '../limits.ts';

/** What the issuer gave for a code or a refresh token. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  readonly idToken?: string;
}

/** The issuer said no (with its OAuth error), or could not be asked. */
export type IssuerFault =
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'unreachable'; readonly detail: string };

/** The point at the issuer: a confidential client that shows its SVID, and has no other secret. */
export interface IssuerClient {
  /** RFC 9126. @returns where the browser is to go */
  push(asked: Readonly<Record<string, string>>): Promise<URL | IssuerFault>;
  /** RFC 6749 §4.1.3, RFC 7636 §4.5 */
  exchange(code: string, verifier: string): Promise<IssuedTokens | IssuerFault>;
  /** RFC 6749 §6: at the issuer the client's, whichever SVID it shows by now. */
  refresh(refreshToken: string): Promise<IssuedTokens | IssuerFault>;
  /** RFC 7009: ends the person's session, everywhere. */
  revoke(refreshToken: string): Promise<IssuerFault | undefined>;
}

const TIMEOUT_MS = 10_000;
const ANSWER_CHARACTERS_MAX = 64 * 1024;

/** A client of our own issuer, whose endpoints and keys are known: nothing is discovered, so nobody else is mixed up with it. */
export function createIssuerClient(options: {
  readonly config: WebConfig;
  readonly redirectUri: string;
  readonly authorityId: string;
  readonly workload: Pick<Workload, 'dispatcherFor'>;
}): IssuerClient {
  const { config, redirectUri, authorityId, workload } = options;
  const { clientId, issuer, audience } = config;
  const base = issuer.url.replace(/\/$/, '');
  const { authoritiesPem } = issuer;
  const peer =
    authoritiesPem === undefined
      ? authorityId
      : {
          authorities:
            authoritiesPem === 'system'
              ? ('system' as const)
              : authoritiesPem.flatMap((pem) => decodePem(pem)),
        };
  let inFlight = 0;

  async function post(
    path: string,
    form: Readonly<Record<string, string>>,
  ): Promise<
    { readonly kind: 'answer'; readonly body: Readonly<Record<string, unknown>> } | IssuerFault
  > {
    if (inFlight >= LIMITS.issuerRequests) {
      return { kind: 'unreachable', detail: 'too many requests to the issuer are in flight' };
    }
    inFlight++;
    try {
      const answer = await request(`${base}${path}`, {
        dispatcher: workload.dispatcherFor(new URL(base).origin, peer),
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        // draft-ietf-oauth-spiffe-client-auth: client_id beside the X.509-SVID of the connection.
        body: new URLSearchParams({ client_id: clientId, ...form }).toString(),
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      });
      const body = objectOf((await answer.body.text()).slice(0, ANSWER_CHARACTERS_MAX));
      if (answer.statusCode < 300) return { kind: 'answer', body };
      const said = [body['error'], body['error_description']].filter(
        (each) => typeof each === 'string',
      );
      const detail = `the issuer answered ${answer.statusCode} ${said.join(': ')}`.slice(0, 300);
      return { kind: answer.statusCode >= 500 ? 'unreachable' : 'refused', detail };
    } catch (error) {
      return { kind: 'unreachable', detail: `issuer: ${(error as Error).message}`.slice(0, 300) };
    } finally {
      inFlight--;
    }
  }

  async function tokens(form: Readonly<Record<string, string>>) {
    const answer = await post('/token', { ...form, resource: audience });
    if (answer.kind !== 'answer') return answer;
    const {
      access_token: accessToken,
      refresh_token: refreshToken,
      id_token: idToken,
    } = answer.body;
    if (typeof accessToken !== 'string') {
      return { kind: 'refused', detail: 'the issuer gave no access token' } as const;
    }
    return {
      accessToken,
      ...(typeof refreshToken === 'string' && { refreshToken }),
      ...(typeof idToken === 'string' && { idToken }),
    };
  }

  return {
    async push(asked) {
      const answer = await post('/request', {
        ...{ response_type: 'code', redirect_uri: redirectUri, resource: audience },
        ...asked,
      });
      if (answer.kind !== 'answer') return answer;
      const { request_uri: requestUri } = answer.body;
      if (typeof requestUri !== 'string') {
        return { kind: 'refused', detail: 'the issuer gave no request_uri' };
      }
      const url = new URL(`${base}/auth`);
      url.searchParams.set('client_id', clientId);
      url.searchParams.set('request_uri', requestUri);
      return url;
    },
    exchange: (code, verifier) =>
      tokens({
        ...{ grant_type: 'authorization_code', code, code_verifier: verifier },
        redirect_uri: redirectUri,
      }),
    refresh: (refreshToken) => tokens({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    async revoke(refreshToken) {
      const answer = await post('/token/revocation', {
        token: refreshToken,
        token_type_hint: 'refresh_token',
      });
      return answer.kind === 'answer' ? undefined : answer;
    },
  };
}

/** Whether something was refused or could not be asked. */
export function isFault(found: object): found is IssuerFault {
  return 'kind' in found && 'detail' in found;
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
