import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { Agent, request as httpsRequest } from 'node:https';
import { clientTlsOptions } from '@countersign/spiffe';
import type { ControlApi } from './control-api.ts';
import type { IdentityDocument } from './identity-document.ts';
import { SdkError } from './sdk-error.ts';
import { readTrustBundle, type TrustBundle } from './trust-bundle.ts';

/** Longer than the authority holds an answer back. */
const WAIT_MS_MAX = 40_000;
const ASK_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 4_000_000;

/** A connection to the authority that waits for bundles; it keeps no process alive. */
export interface BundleConnection {
  /** The next bundle after `sequence`; undefined when there was none for some 20 s. */
  next(sequence: number, signal: AbortSignal): Promise<TrustBundle | undefined>;
  close(): void;
}

/** Asks as a workload: the server must have an SVID that the identity's own bundle vouches for. */
export function bundleConnection(api: ControlApi, identity: IdentityDocument): BundleConnection {
  const { authoritySpiffeId, trustDomain, factKeys, now } = api;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ...clientTlsOptions({
      svid: identity,
      expect: authoritySpiffeId,
      authorities: identity.authorities,
      now,
    }),
  });
  return {
    async next(sequence, signal) {
      const text = await get(api, `/v1/trust-bundle?after=${sequence}`, {
        ...{ agent, signal },
        timeoutMs: WAIT_MS_MAX,
        isBackground: true,
      });
      if (text === undefined) return undefined;
      return readTrustBundle(statementOf(text), { keys: factKeys, trustDomain });
    },
    close: () => agent.destroy(),
  };
}

/**
 * Asks for the bundle of now without knowing who answers: a host that was off while the authorities rotated knows nobody who
 * vouches for the authority's listener. What comes counts only when it is signed by a key of `trust.json`, for this question.
 *
 * @param options `isBackground` the process may end meanwhile: nobody waits for the answer
 * @throws {SdkError} `ERR_SDK_ANSWER_INVALID`, `ERR_SDK_AUTHORITY_UNREACHABLE`; `ERR_SDK_OPTIONS_INVALID` without such a key
 */
export async function recoverTrustBundle(
  api: ControlApi,
  { isBackground = false }: { readonly isBackground?: boolean } = {},
): Promise<TrustBundle> {
  const { trustDomain, factKeys } = api;
  if (factKeys.length === 0) {
    throw new SdkError(
      'ERR_SDK_OPTIONS_INVALID',
      'could not ask for a signed bundle: found no fact keys, expected those of trust.json',
    );
  }
  const nonce = randomBytes(24).toString('base64url');
  // INVARIANT: nothing is sent by this connection, and nothing that comes by it is believed without the signature.
  const agent = new Agent({
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    maxCachedSessions: 0,
  });
  try {
    const text = await get(api, `/v1/trust-bundle?nonce=${nonce}`, {
      ...{ agent, isBackground },
      timeoutMs: ASK_MS_MAX,
    });
    return readTrustBundle(statementOf(text ?? '{}'), { keys: factKeys, trustDomain, nonce });
  } finally {
    agent.destroy();
  }
}

function get(
  { authorityUrl }: ControlApi,
  path: string,
  options: {
    readonly agent: Agent;
    readonly timeoutMs: number;
    readonly isBackground: boolean;
    readonly signal?: AbortSignal;
  },
): Promise<string | undefined> {
  const { agent, timeoutMs, isBackground, signal } = options;
  const unreachable = (cause: unknown): SdkError =>
    new SdkError(
      'ERR_SDK_AUTHORITY_UNREACHABLE',
      `could not ask ${authorityUrl} for the bundle: found ${cause instanceof Error ? cause.message : 'a failure'}, expected an answer`,
      { cause },
    );
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(`${authorityUrl}${path}`, { agent, ...(signal && { signal }) });
    const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), timeoutMs);
    if (isBackground) {
      timer.unref();
      // Somebody who only waits for news must not keep a process that has done its work.
      outgoing.on('socket', (socket) => socket.unref());
    }
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(unreachable(error));
    });
    outgoing.on('response', (answer) => {
      const chunks: Uint8Array[] = [];
      let size = 0;
      answer.on('data', (chunk: Uint8Array) => {
        size += chunk.length;
        if (size > ANSWER_BYTES_MAX) outgoing.destroy(new Error('more than 4 MB'));
        else chunks.push(chunk);
      });
      answer.on('error', (error) => reject(unreachable(error)));
      answer.on('end', () => {
        clearTimeout(timer);
        const { statusCode = 0 } = answer;
        if (statusCode === 204) resolve(undefined);
        else if (statusCode === 200) resolve(Buffer.concat(chunks).toString());
        else
          reject(
            new SdkError(
              'ERR_SDK_AUTHORITY_REFUSED',
              `could not get the bundle: found status ${statusCode}, expected 200`,
              { status: statusCode },
            ),
          );
      });
    });
    outgoing.end();
  });
}

function statementOf(text: string): string {
  try {
    const { bundle } = JSON.parse(text) as { bundle?: unknown };
    if (typeof bundle === 'string') return bundle;
  } catch {
    // As below.
  }
  throw new SdkError(
    'ERR_SDK_ANSWER_INVALID',
    'could not read bundle: found no field bundle, expected one',
  );
}
