import { readFile } from 'node:fs/promises';
import { Client } from 'undici';
import { z } from 'zod';

/** A cluster whose service accounts may join, and how its API server is asked. */
export interface KubernetesCluster {
  readonly name: string;
  /** `https://10.0.0.1:6443` */
  readonly server: string;
  /** PEM of the API server's authorities; read at each review, so that it may be rotated. */
  readonly caFile: string;
  /** The authority's own token, which may create TokenReviews; read at each review: kubelets replace it. */
  readonly tokenFile: string;
  /** What the tokens must be for. */
  readonly audience: string;
}

/** What the API server said of a token. */
export type Review =
  | { readonly outcome: 'authenticated'; readonly user: ReviewedUser }
  | { readonly outcome: 'unauthenticated'; readonly why: string }
  /** It authenticated a token, and not for the audience that was asked. */
  | { readonly outcome: 'other-audience'; readonly why: string }
  /** It gave no answer that can be believed. */
  | { readonly outcome: 'unavailable'; readonly why: string };

/** `UserInfo` of `authentication.k8s.io/v1`. */
export interface ReviewedUser {
  readonly username: string;
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Connecting and answering together. */
export const REVIEW_MS_MAX = 5000;
const ANSWER_BYTES_MAX = 256 * 1024;
const REVIEWS_AT_ONCE_MAX = 8;
const REVIEWS_WAITING_MAX = 32;
const SHOWN_MAX = 300;

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';

const reviewShape = z.object({
  kind: z.literal('TokenReview'),
  apiVersion: z.literal('authentication.k8s.io/v1'),
  status: z.object({
    authenticated: z.boolean().optional(),
    error: z.string().optional(),
    audiences: z.array(z.string()).max(64).nullish(),
    user: z
      .object({
        username: z.string().optional(),
        extra: z.record(z.string(), z.array(z.string()).max(64)).nullish(),
      })
      .optional(),
  }),
});
const statusShape = z.object({
  kind: z.literal('Status'),
  reason: z.string().optional(),
  message: z.string().optional(),
});

/** Asks API servers about tokens: at most 8 at once, and 32 that wait. */
export class TokenReviews {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Never throws: whatever goes wrong is `unavailable`, within 5 s and the wait for those before it. */
  async review(token: string, cluster: KubernetesCluster): Promise<Review> {
    if (this.#running === REVIEWS_AT_ONCE_MAX) {
      if (this.#waiting.length === REVIEWS_WAITING_MAX) {
        return unavailable(`found ${REVIEWS_WAITING_MAX} reviews waiting, expected fewer`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await review(token, cluster);
    } catch (error) {
      return unavailable(causeOf(error));
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

async function review(token: string, cluster: KubernetesCluster): Promise<Review> {
  const { server, caFile, tokenFile, audience } = cluster;
  const [ca, own] = await Promise.all([readFile(caFile, 'utf8'), readFile(tokenFile, 'utf8')]);
  const signal = AbortSignal.timeout(REVIEW_MS_MAX);
  // A connection of its own: pods join seldom, and authorities and token may be others by then.
  const client = new Client(server, {
    allowH2: false,
    connectTimeout: REVIEW_MS_MAX,
    maxResponseSize: ANSWER_BYTES_MAX,
    connect: { ca, minVersion: 'TLSv1.2' },
  });
  try {
    const answer = await client.request({
      method: 'POST',
      path: PATH,
      signal,
      headers: {
        authorization: `Bearer ${own.trim()}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: [audience] },
      }),
    });
    return verdictOf(answer.statusCode, await answer.body.text(), audience);
  } finally {
    await client.destroy();
  }
}

/** A redirect is followed nowhere: both tokens would go with it. */
function verdictOf(statusCode: number, text: string, audience: string): Review {
  const value = parse(text);
  // Creation answers 201; some proxies and old servers make 200 of it.
  if (statusCode !== 201 && statusCode !== 200) {
    const status = statusShape.safeParse(value).data;
    const said = status ? ` ${status.reason ?? ''}: ${status.message ?? ''}` : '';
    return unavailable(`found status ${statusCode}${said}, expected 201`);
  }
  const parsed = reviewShape.safeParse(value);
  if (!parsed.success) {
    return unavailable(`found no TokenReview: ${z.prettifyError(parsed.error)}`);
  }
  const { authenticated, error, audiences, user } = parsed.data.status;
  if (authenticated !== true || error) {
    return { outcome: 'unauthenticated', why: shown(error ?? 'the cluster does not know it') };
  }
  // A server that knows no audiences names none, and then the token is one for the API server itself.
  if (!audiences?.includes(audience)) {
    const found = JSON.stringify(audiences ?? []);
    return { outcome: 'other-audience', why: shown(`found audiences ${found}`) };
  }
  const username = user?.username;
  if (!username) return unavailable('found an authenticated user without a name');
  return { outcome: 'authenticated', user: { username, extra: user.extra ?? {} } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unavailable(why: string): Review {
  return { outcome: 'unavailable', why: shown(why) };
}

function shown(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').slice(0, SHOWN_MAX);
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'found a failure';
  const isLate = error.name === 'TimeoutError' || error.name === 'AbortError';
  return isLate ? `found no answer within ${REVIEW_MS_MAX} ms` : error.message;
}
