import { type Dispatcher, request } from 'undici';
import { readBounded } from '../http/read-bounded.ts';
import type { BankEnvironment } from './environment.ts';
import type { Partner } from './partner.ts';
import { clientAssertion, dpopProof } from './sign-jwt.ts';

/** What a token is to be good for. */
export interface TokenWish {
  /** Scopes, parted by spaces. */
  readonly scope: string;
  /** Resource indicator (RFC 8707). */
  readonly resource: string;
}

/** An access token, bound to the certificate or to the DPoP key of whoever got it. */
export interface AccessToken {
  readonly value: string;
  /** The scheme to present it with. */
  readonly type: 'Bearer' | 'DPoP';
  readonly expiresInSeconds: number;
}

/** The issuer's answer: being refused is an answer too. */
export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: AccessToken }
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly error: string;
      readonly description: string;
    };

const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Asks the issuer for a token in the partner's own name (`client_credentials`): over mTLS (RFC 8705)
 * or with a signed assertion and a DPoP proof (RFC 7523, RFC 9449).
 */
export async function obtainToken(
  env: BankEnvironment,
  options: TokenWish & { partner: Partner; dispatcher: Dispatcher },
): Promise<TokenAnswer> {
  const first = await askIssuer(env, options);
  // RFC 9449 §8: the issuer may want its nonce in the proof; it is asked for once.
  const isRetry = first.error === 'use_dpop_nonce' && first.nonce !== undefined;
  const answer = isRetry ? await askIssuer(env, options, first.nonce) : first;
  if (answer.token) return { kind: 'token', token: answer.token };
  const { status, error, description } = answer;
  return { kind: 'refused', status, error, description };
}

interface IssuerAnswer {
  readonly status: number;
  readonly token?: AccessToken;
  readonly error: string;
  readonly description: string;
  readonly nonce?: string;
}

async function askIssuer(
  env: BankEnvironment,
  options: TokenWish & { partner: Partner; dispatcher: Dispatcher },
  nonce?: string,
): Promise<IssuerAnswer> {
  const { partner, dispatcher, scope, resource } = options;
  const url = `${env.issuerUrl}/token`;
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: partner.name,
    scope,
    resource,
  });
  if (partner.kind === 'dpop') {
    const { clientKey, dpopKey } = partner;
    const { issuerUrl, now } = env;
    form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    form.set(
      'client_assertion',
      clientAssertion({ clientId: partner.name, issuerUrl, key: clientKey, now }),
    );
    const given = nonce === undefined ? {} : { nonce };
    headers['dpop'] = dpopProof({ method: 'POST', url, key: dpopKey, now, ...given });
  }
  const answer = await request(url, { method: 'POST', dispatcher, headers, body: form.toString() });
  const text = await readBounded(answer.body, ANSWER_BYTES_MAX);
  return readAnswer(answer.statusCode, text, answer.headers['dpop-nonce']);
}

function readAnswer(status: number, text: string, nonce: unknown): IssuerAnswer {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // A front that is no issuer: its status says enough.
  }
  const {
    access_token: value,
    token_type: type,
    expires_in: expires,
    error,
  } = body as {
    [name: string]: unknown;
  };
  const given = typeof nonce === 'string' ? { nonce } : {};
  const description = body['error_description'];
  const answer = {
    status,
    error: typeof error === 'string' ? error : `status ${status}`,
    description: typeof description === 'string' ? description : '',
    ...given,
  };
  if (status !== 200 || typeof value !== 'string') return answer;
  const token: AccessToken = {
    value,
    type: String(type).toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
    expiresInSeconds: typeof expires === 'number' ? expires : 0,
  };
  return { ...answer, token };
}
