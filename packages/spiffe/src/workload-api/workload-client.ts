import { Buffer } from 'node:buffer';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJwtBundle } from '../bundle/bundle.ts';
import { createGrpcChannel } from '../grpc/grpc-client.ts';
import { GRPC_STATUS, GrpcError } from '../grpc/grpc-status.ts';
import type { JwtAuthority } from '../jwt/jwt-key.ts';
import type { AnyMessageType, MessageOf } from '../protobuf/message.ts';
import { SpiffeError, type SpiffeErrorCode } from '../spiffe-error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe-id.ts';
import { createBackOff } from './back-off.ts';
import { parseWorkloadEndpoint } from './workload-endpoint.ts';
import {
  emptyMessage,
  jwtBundlesResponse,
  jwtSvidRequest,
  jwtSvidResponse,
  SECURITY_HEADER,
  validateJwtSvidRequest,
  validateJwtSvidResponse,
  WORKLOAD_SERVICE,
  x509BundlesResponse,
  x509SvidResponse,
} from './workload-messages.ts';
import {
  protocol,
  trustDomainOf,
  type X509Bundles,
  type X509Context,
  type X509Identity,
  x509BundlesOf,
  x509ContextOf,
} from './x509-context.ts';

/** A JWT-SVID as the Workload API gave it; it is not verified, its receiver does that. */
export interface FetchedJwtSvid {
  readonly spiffeId: SpiffeId;
  readonly token: string;
  readonly hint?: string;
}

/** JWT authorities by trust domain, never mixed. */
export type JwtBundles = ReadonlyMap<string, readonly JwtAuthority[]>;

/** What a watch tells, until its signal ends it. */
export interface Watch<State> {
  /** Each whole state; what is not in it any more must not be used any more. */
  readonly onUpdate: (state: State) => void;
  /**
   * Each failure, before the wait. After `ERR_SPIFFE_WORKLOAD_DENIED` the identities that were given are taken away
   * (SPIFFE Workload API §5.2.1); after others they are still good.
   */
  readonly onError?: (error: SpiffeError, waitMs: number) => void;
  readonly signal: AbortSignal;
}

/** How long and how often. */
export interface CallOptions {
  /** Ends the call; without one it ends after ten seconds. */
  readonly signal?: AbortSignal;
}

/** A client of the SPIFFE Workload API: of this room's, of SPIRE's, of anybody's. */
export interface WorkloadClient {
  /** The default identity of this process, now. */
  fetchX509Svid(options?: CallOptions): Promise<X509Identity>;
  fetchX509Context(options?: CallOptions): Promise<X509Context>;
  fetchX509Bundles(options?: CallOptions): Promise<X509Bundles>;
  /**
   * Stays connected and tells each state. It comes back after whatever happens, with back-off and jitter; it resolves
   * when its signal ends it.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_ARGUMENT`: trying again would not help (SPIFFE Workload Endpoint §6)
   */
  watchX509Context(watch: Watch<X509Context>): Promise<void>;
  watchX509Bundles(watch: Watch<X509Bundles>): Promise<void>;
  /** Tokens for these audiences: of the given identity, or of each that this process has; the first is the default. */
  fetchJwtSvids(
    request: { readonly audiences: readonly string[]; readonly spiffeId?: string },
    options?: CallOptions,
  ): Promise<readonly FetchedJwtSvid[]>;
  fetchJwtBundles(options?: CallOptions): Promise<JwtBundles>;
  watchJwtBundles(watch: Watch<JwtBundles>): Promise<void>;
  /** Lets the API verify a token; `verifyJwtSvid` does it here, with {@link WorkloadClient.fetchJwtBundles}. */
  validateJwtSvid(
    request: { readonly audience: string; readonly token: string },
    options?: CallOptions,
  ): Promise<{ readonly spiffeId: SpiffeId; readonly claims: Readonly<Record<string, unknown>> }>;
  close(): void;
}

/** Where the API is, and chance. */
export interface WorkloadClientOptions {
  /** `unix:///run/spire/agent.sock`; a program takes it from `SPIFFE_ENDPOINT_SOCKET`. */
  readonly endpoint: string;
  /** From 0 to below 1, for the jitter. */
  readonly random: () => number;
  /** Of the first wait and of the longest; 1 and 30 seconds when absent. */
  readonly backOff?: { readonly minMs: number; readonly maxMs: number };
}

const CALL_MS = 10_000;

/**
 * Makes a client of the Workload API; nothing is connected before the first call.
 *
 * Every method rejects with a `SpiffeError`: `ERR_SPIFFE_WORKLOAD_DENIED`, `ERR_SPIFFE_WORKLOAD_UNAVAILABLE`,
 * `ERR_SPIFFE_WORKLOAD_EXHAUSTED`, `ERR_SPIFFE_WORKLOAD_ARGUMENT`, `ERR_SPIFFE_WORKLOAD_PROTOCOL`, or what is wrong with a certificate.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_ENDPOINT`
 * @see SPIFFE Workload API, SPIFFE Workload Endpoint
 */
export function createWorkloadClient(options: WorkloadClientOptions): WorkloadClient {
  const channel = createGrpcChannel(parseWorkloadEndpoint(options.endpoint));

  async function* call(
    method: Method,
    message: object,
    signal: AbortSignal,
  ): AsyncGenerator<unknown> {
    try {
      yield* channel.call({
        path: `/${WORKLOAD_SERVICE}/${method.name}`,
        request: method.request,
        response: method.response,
        message,
        metadata: { [SECURITY_HEADER.name]: SECURITY_HEADER.value },
        signal,
      });
    } catch (cause) {
      throw cause instanceof GrpcError ? spiffeErrorOf(cause) : cause;
    }
  }
  const first = async <Response>(
    method: Method<Response>,
    message: object,
    { signal = AbortSignal.timeout(CALL_MS) }: CallOptions = {},
  ): Promise<Response> => {
    for await (const response of call(method, message, signal)) return response as Response;
    throw protocol('no answer', 'one');
  };
  const watch = async <Response, State>(
    method: Method<Response>,
    read: (response: Response) => State,
    { onUpdate, onError, signal }: Watch<State>,
  ): Promise<void> => {
    const backOff = createBackOff({ random: options.random, ...options.backOff });
    while (!signal.aborted) {
      let error: SpiffeError;
      try {
        for await (const response of call(method, {}, signal)) {
          const state = read(response as Response);
          backOff.reset();
          onUpdate(state);
        }
        error = unavailable('the end of a stream');
      } catch (cause) {
        if (signal.aborted) return;
        // What a listener threw is its own, and not to be retried away.
        if (!(cause instanceof SpiffeError)) throw cause;
        if (cause.code === 'ERR_SPIFFE_WORKLOAD_ARGUMENT') throw cause;
        error = cause;
      }
      const waitMs = backOff.next();
      onError?.(error, waitMs);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  };

  return {
    fetchX509Svid: async (call) =>
      x509ContextOf(await first(METHODS.x509Svid, {}, call)).defaultSvid,
    fetchX509Context: async (call) => x509ContextOf(await first(METHODS.x509Svid, {}, call)),
    fetchX509Bundles: async (call) => x509BundlesOf(await first(METHODS.x509Bundles, {}, call)),
    watchX509Context: (asked) => watch(METHODS.x509Svid, x509ContextOf, asked),
    watchX509Bundles: (asked) => watch(METHODS.x509Bundles, x509BundlesOf, asked),
    fetchJwtSvids: async ({ audiences, spiffeId = '' }, call) => {
      const { svids } = await first(METHODS.jwtSvid, { audiences, spiffeId }, call);
      if (svids.length === 0) throw protocol('no svid', 'one or more');
      return svids.map(({ spiffeId: uri, token, hint }) => {
        if (token === '') throw protocol('an empty svid', 'a token');
        return Object.freeze({
          spiffeId: parseSpiffeId(uri),
          token,
          ...(hint === '' ? {} : { hint }),
        });
      });
    },
    fetchJwtBundles: async (call) => jwtBundlesOf(await first(METHODS.jwtBundles, {}, call)),
    watchJwtBundles: (asked) => watch(METHODS.jwtBundles, jwtBundlesOf, asked),
    validateJwtSvid: async (asked, call) => {
      const { spiffeId, claims = {} } = await first(METHODS.validateJwtSvid, asked, call);
      return Object.freeze({ spiffeId: parseSpiffeId(spiffeId), claims });
    },
    close: () => channel.close(),
  };
}

interface Method<Response = unknown> {
  readonly name: string;
  readonly request: AnyMessageType;
  readonly response: AnyMessageType;
  /** Never there: it carries the type of the answers. */
  readonly of?: Response;
}

const METHODS = {
  x509Svid: {
    name: 'FetchX509SVID',
    request: emptyMessage('X509SVIDRequest'),
    response: x509SvidResponse,
  } as Method<MessageOf<typeof x509SvidResponse>>,
  x509Bundles: {
    name: 'FetchX509Bundles',
    request: emptyMessage('X509BundlesRequest'),
    response: x509BundlesResponse,
  } as Method<MessageOf<typeof x509BundlesResponse>>,
  jwtSvid: {
    name: 'FetchJWTSVID',
    request: jwtSvidRequest,
    response: jwtSvidResponse,
  } as Method<MessageOf<typeof jwtSvidResponse>>,
  jwtBundles: {
    name: 'FetchJWTBundles',
    request: emptyMessage('JWTBundlesRequest'),
    response: jwtBundlesResponse,
  } as Method<MessageOf<typeof jwtBundlesResponse>>,
  validateJwtSvid: {
    name: 'ValidateJWTSVID',
    request: validateJwtSvidRequest,
    response: validateJwtSvidResponse,
  } as Method<MessageOf<typeof validateJwtSvidResponse>>,
} as const;

function jwtBundlesOf({ bundles }: MessageOf<typeof jwtBundlesResponse>): JwtBundles {
  if (bundles.size === 0) throw protocol('no bundle', 'one or more');
  return new Map(
    [...bundles].map(([name, json]) => [
      trustDomainOf(name),
      parseJwtBundle(Buffer.from(json).toString('utf8')),
    ]),
  );
}

const CODES: ReadonlyMap<number, SpiffeErrorCode> = new Map([
  [GRPC_STATUS.permissionDenied, 'ERR_SPIFFE_WORKLOAD_DENIED'],
  [GRPC_STATUS.unavailable, 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE'],
  [GRPC_STATUS.deadlineExceeded, 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE'],
  [GRPC_STATUS.cancelled, 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE'],
  [GRPC_STATUS.resourceExhausted, 'ERR_SPIFFE_WORKLOAD_EXHAUSTED'],
  [GRPC_STATUS.invalidArgument, 'ERR_SPIFFE_WORKLOAD_ARGUMENT'],
]);

function spiffeErrorOf(cause: GrpcError): SpiffeError {
  return new SpiffeError(
    CODES.get(cause.status) ?? 'ERR_SPIFFE_WORKLOAD_PROTOCOL',
    `could not call workload api: found grpc status ${cause.status}, ${cause.message || 'no message'}, expected an answer`,
    { cause },
  );
}

function unavailable(found: string): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_UNAVAILABLE',
    `could not watch workload api: found ${found}, expected it to stay open`,
  );
}
