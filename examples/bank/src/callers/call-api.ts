import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type SignRequestOptions, signRequest } from '@countersign/sdk';
import type { Dispatcher } from 'undici';
import { readBounded } from '../http/read-bounded.ts';
import type { BankEnvironment } from './environment.ts';
import type { AccessToken } from './obtain-token.ts';
import type { CallerKeys } from './partner.ts';
import { dpopProof } from './sign-jwt.ts';

/** One request to the bank. */
export interface ApiRequest {
  /** The edge of payments and accounts when absent. */
  readonly origin?: string;
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** The raw target: sent as it is, odd or not. */
  readonly path: string;
  readonly token?: AccessToken;
  readonly headers?: Readonly<Record<string, string>>;
  /** Signed with the key that the caller authenticates with, as surfaces of evidence level E2 want it. */
  readonly isSigned?: boolean;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** What the bank answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body when it was JSON, else nothing. */
  readonly json: unknown;
  /** Where the record tells of this request; absent when nothing of ours answered. */
  readonly eventId: string | undefined;
}

const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Soon after a start the bank takes no signature that may be older than that; longer than this nobody waits. */
const SIGN_AGAIN_SECONDS_MAX = 15;

type Call = ApiRequest & { partner: CallerKeys | undefined; dispatcher: Dispatcher };

/** Makes one request with a token and, for a DPoP token, a proof of the caller's key; once more when the bank says how. */
export async function callApi(env: BankEnvironment, options: Call): Promise<ApiAnswer> {
  const answer = await ask(env, options);
  const nonce = nonceOf(answer);
  if (nonce !== undefined && options.token?.type === 'DPoP') {
    return await ask(env, { ...options, nonce });
  }
  const seconds = options.isSigned ? signAgainSeconds(answer) : undefined;
  if (seconds === undefined) return answer;
  await wait(seconds * 1000);
  return await ask(env, options);
}

/** After how long a new signature will do, when the bank says that only its age was wrong. */
function signAgainSeconds({ status, headers }: ApiAnswer): number | undefined {
  const after = headers['retry-after'];
  if (status !== 403 || !headers['accept-signature'] || !/^\d{1,2}$/.test(after ?? '')) return;
  const seconds = Number(after);
  return seconds <= SIGN_AGAIN_SECONDS_MAX ? seconds : undefined;
}

/** RFC 9449 §9: the nonce that a new proof must name, when that is all that was wrong. */
export function nonceOf(answer: {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}): string | undefined {
  const nonce = answer.headers['dpop-nonce'];
  return answer.status === 401 && typeof nonce === 'string' ? nonce : undefined;
}

async function ask(
  env: BankEnvironment,
  options: Call & { readonly nonce?: string },
): Promise<ApiAnswer> {
  const { dispatcher, method = 'GET', path, body } = options;
  const origin = options.origin ?? env.edgeOrigin;
  const headers: Record<string, string> = {
    ...authorization(env, origin, options),
    ...options.headers,
  };
  if (body !== undefined) headers['content-type'] ??= 'application/json';
  const content = body === undefined ? null : JSON.stringify(body);
  if (options.isSigned && options.partner) {
    const url = `${origin}${path}`;
    const key = keyOf(options.partner);
    Object.assign(
      headers,
      signRequest({ method, url, headers, body: content }, { key, now: env.now }),
    );
  }
  // `dispatcher.request` takes the path as it is; a URL would be tidied up on the way.
  const answer = await dispatcher.request({
    origin,
    path,
    method,
    headers,
    body: content,
  });
  const text = await readBounded(answer.body, ANSWER_BYTES_MAX);
  const eventId = answer.headers['countersign-event-id'];
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json: jsonOf(text),
    eventId: typeof eventId === 'string' ? eventId : undefined,
  };
}

/** The key that a caller's token is bound to. */
function keyOf(partner: CallerKeys): SignRequestOptions['key'] {
  return partner.kind === 'dpop' ? partner.dpopKey : partner.keyPem;
}

/** The headers that present a token. */
export function authorization(
  env: BankEnvironment,
  origin: string,
  options: Pick<ApiRequest, 'token' | 'method' | 'path'> & {
    readonly partner: CallerKeys | undefined;
    readonly nonce?: string | undefined;
  },
): Record<string, string> {
  const { token, method = 'GET', path, partner, nonce } = options;
  if (!token) return {};
  const headers = { authorization: `${token.type} ${token.value}` };
  if (token.type !== 'DPoP' || partner?.kind !== 'dpop') return headers;
  const { dpopKey: key } = partner;
  const url = `${origin}${path}`;
  const proof = dpopProof({
    method,
    url,
    key,
    accessToken: token.value,
    ...(nonce !== undefined && { nonce }),
    now: env.now,
  });
  return { ...headers, dpop: proof };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
