import { Agent, fetch } from 'undici';

const TIMEOUT_MS = 10_000;
/** Metadata, keys and token responses of the largest providers are a tenth of it. */
const ANSWER_BYTES_MAX = 512 * 1024;
const CONNECTIONS_MAX = 16;

/** How a provider is reached. */
export interface ProviderConnection {
  /** PEM. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Asks a provider, and nobody else. */
export interface BoundedFetch {
  /** As `fetch`, with the whole answer read: at most 512 KiB within 10 s. @throws what is refused, before anything is sent */
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  close(): Promise<void>;
}

/**
 * A `fetch` that goes to the given https origins only and follows no redirect: whoever writes metadata, or answers in the provider's
 * place, must not make the authority ask something inside the bank.
 */
export function boundedFetch(
  origins: readonly string[],
  { ca, certificate, key }: ProviderConnection,
): BoundedFetch {
  const allowed = new Set(origins);
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connect: {
      timeout: TIMEOUT_MS,
      minVersion: 'TLSv1.2',
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
    },
  });
  return {
    async fetch(url, init = {}) {
      const { origin, protocol, username, password } = new URL(url);
      if (protocol !== 'https:' || !allowed.has(origin) || username !== '' || password !== '') {
        throw new Error(`found an endpoint at '${origin}', expected one at ${origins.join(', ')}`);
      }
      const answer = await fetch(url, {
        ...(init as object),
        dispatcher: agent,
        redirect: 'manual',
        // All of it, the body included: a byte now and then would hold a login open for as long as it likes.
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const bytes = await bounded(answer.body);
      const hasBody = answer.status >= 200 && answer.status !== 204 && answer.status !== 304;
      return new Response(hasBody ? bytes : null, {
        status: answer.status === 0 ? 502 : answer.status,
        headers: [...answer.headers],
      });
    },
    close: () => agent.destroy(),
  };
}

async function bounded(body: AsyncIterable<Uint8Array> | null): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new Error(`found more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
