import type { Entry } from '@countersign/identity/attestation';
import { type Dispatcher, request } from 'undici';

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Longer than the authority holds an answer back. */
const WAIT_MS_MAX = 40_000;
const ASK_MS_MAX = 10_000;
const BUSY_SECONDS_MAX = 3600;

/** What a node serves from, as the authority last told. */
export interface ToldState {
  readonly version: string;
  readonly entries: readonly Entry[];
  /** A SPIFFE JWK Set. */
  readonly bundle: string;
  /** By trust domain: those that workloads of the node federate with; absent from an authority that knows none. */
  readonly federated?: Readonly<Record<string, string>>;
  /** SHA-256 (base64url) of authorities that are refused although the bundle leads to them; absent of an older authority. */
  readonly refusedAuthorities?: readonly string[];
}

/** An SVID as the authority grants it. */
export interface ToldSvid {
  /** DER in base64, leaf first. */
  readonly chain: readonly string[];
  readonly notAfterMs: number;
  readonly renewAfterMs: number;
}

/** The authority refused: asking again will not help until something changed there. */
export class NodeRefusal extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.name = 'NodeRefusal';
    this.status = status;
  }
}

/** The authority has given enough for now: no refusal of whom it was asked for. */
export class NodeBusy extends Error {
  /** When to ask again. */
  readonly atMs: number;

  constructor(atMs: number, detail: string) {
    super(detail);
    this.name = 'NodeBusy';
    this.atMs = atMs;
  }
}

/** The authority as a node asks it, over its own SVID. */
export interface NodeAuthority {
  /** Answers when there is another state than `version`, or after some 20 s. */
  state(version: string | undefined, signal: AbortSignal): Promise<ToldState>;
  svid(spiffeId: string, request: string): Promise<ToldSvid>;
  /** A JWT-SVID for these audiences, compact form. */
  jwtSvid(spiffeId: string, audiences: readonly string[]): Promise<string>;
}

/**
 * @throws {NodeRefusal} from each call that the authority refuses; {@link NodeBusy} when it was asked too often, without asking again
 *   before it said so; other errors when it is not to be reached
 */
export function nodeAuthority(options: {
  readonly origin: string;
  readonly dispatcher: () => Dispatcher;
  readonly now: () => number;
}): NodeAuthority {
  const { origin, dispatcher, now } = options;
  const ask = async <T>(
    path: string,
    { body, signal }: { readonly body?: object; readonly signal: AbortSignal },
  ): Promise<T> => {
    const answer = await request(`${origin}${path}`, {
      dispatcher: dispatcher(),
      signal,
      headersTimeout: WAIT_MS_MAX,
      ...(body && {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of answer.body) {
      size += chunk.length;
      if (size > ANSWER_BYTES_MAX) throw new Error(`found more than ${ANSWER_BYTES_MAX} bytes`);
      chunks.push(chunk);
    }
    const value = JSON.parse(Buffer.concat(chunks).toString());
    if (answer.statusCode === 200) return value as T;
    if (answer.statusCode === 429) {
      const seconds = Number(answer.headers['retry-after']);
      const afterMs = (seconds > 0 && seconds < BUSY_SECONDS_MAX ? seconds : 1) * 1000;
      throw new NodeBusy(now() + afterMs, `429: ${value.detail ?? 'no detail'}`);
    }
    const detail = `${answer.statusCode}: ${value.detail ?? 'no detail'}`;
    if (answer.statusCode >= 500) throw new Error(`the authority answered ${detail}`);
    throw new NodeRefusal(answer.statusCode, detail);
  };
  const soon = (): AbortSignal => AbortSignal.timeout(ASK_MS_MAX);
  /** By what was asked for: those that are busy; as many as the node has entries. */
  const busy = new Map<string, NodeBusy>();
  const unlessBusy = async <T>(key: string, call: () => Promise<T>): Promise<T> => {
    const known = busy.get(key);
    if (known && known.atMs > now()) throw known;
    busy.delete(key);
    try {
      return await call();
    } catch (error) {
      if (error instanceof NodeBusy) busy.set(key, error);
      throw error;
    }
  };
  return {
    state: (version, signal) => {
      const query = version === undefined ? '' : `?after=${encodeURIComponent(version)}`;
      const both = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS_MAX)]);
      return ask(`/v1/node/entries${query}`, { signal: both });
    },
    svid: (spiffeId, text) =>
      unlessBusy(`svid ${spiffeId}`, () =>
        ask('/v1/node/svids', { body: { spiffeId, request: text }, signal: soon() }),
      ),
    async jwtSvid(spiffeId, audiences) {
      const body = { spiffeId, audiences };
      const { token } = await unlessBusy(`jwt-svid ${spiffeId}`, () =>
        ask<{ token: string }>('/v1/node/jwt-svids', { body, signal: soon() }),
      );
      return token;
    },
  };
}
