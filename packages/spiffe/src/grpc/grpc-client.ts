import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2';
import { type NetConnectOpts, connect as netConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AnyMessageType } from '../protobuf/message.ts';
import { encodeGrpcFrame, grpcMessages } from './grpc-frame.ts';
import { decodeGrpcMessage, GRPC_STATUS, GrpcError } from './grpc-status.ts';

/** How to call one method. */
export interface GrpcRequest {
  /** `/Service/Method` */
  readonly path: string;
  readonly request: AnyMessageType;
  readonly response: AnyMessageType;
  readonly message: object;
  readonly metadata: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Calls over one connection, which is opened when it is needed and again when it is gone. */
export interface GrpcChannel {
  /**
   * The answers of one call, one message sent.
   *
   * @throws {GrpcError} with the server's status; `unavailable` when there is no server, `cancelled` after `signal`
   */
  call(request: GrpcRequest): AsyncGenerator<unknown>;
  close(): void;
}

/** 64 SVIDs and bundles of 64 authorities fit. */
const RESPONSE_BYTES_MAX = 8_388_608;

/** Where a channel leads: without TLS, as the Workload API has it, or over connections that somebody else opens. */
export type GrpcTarget =
  | NetConnectOpts
  | { readonly origin: string; readonly createConnection: (authority: URL) => Duplex };

/** Makes a channel; nothing is connected before the first call. */
export function createGrpcChannel(to: GrpcTarget): GrpcChannel {
  const { origin, createConnection } =
    'origin' in to ? to : { origin: 'http://localhost', createConnection: () => netConnect(to) };
  let session: ClientHttp2Session | undefined;
  let callCount = 0;
  const open = (): ClientHttp2Session => {
    if (session && !session.closed && !session.destroyed) return session;
    const opened = connect(origin, { createConnection });
    // Each call hears of it by its own stream.
    opened.on('error', () => undefined);
    opened.once('close', () => {
      if (session === opened) session = undefined;
    });
    session = opened;
    return opened;
  };
  return {
    async *call(request) {
      callCount += 1;
      // A call keeps the process alive, an idle connection does not.
      open().ref();
      try {
        yield* call(open, request);
      } finally {
        callCount -= 1;
        if (callCount === 0) session?.unref();
      }
    },
    close: () => session?.destroy(),
  };
}

async function* call(
  open: () => ClientHttp2Session,
  { path, request, response, message, metadata, signal }: GrpcRequest,
): AsyncGenerator<unknown> {
  if (signal.aborted) throw cancelled(signal);
  const session = open();
  let connectionError: unknown;
  const onError = (error: unknown): void => {
    connectionError = error;
  };
  session.once('error', onError);
  let stream: ClientHttp2Stream;
  try {
    stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    });
  } catch (cause) {
    throw new GrpcError(GRPC_STATUS.unavailable, 'the connection is closing', { cause });
  }
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  stream.once('response', (received) => {
    headers = received;
  });
  stream.once('trailers', (received) => {
    trailers = received;
  });
  const onAbort = (): void => {
    stream.destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    stream.end(encodeGrpcFrame(request.encode(message)));
    for await (const bytes of grpcMessages(chunksOf(stream), { bytesMax: RESPONSE_BYTES_MAX })) {
      yield response.decode(bytes);
    }
    if (!stream.closed) await once(stream, 'close');
    if (signal.aborted) throw cancelled(signal);
    requireOk(headers, trailers, connectionError);
  } catch (cause) {
    if (signal.aborted) throw cancelled(signal);
    if (cause instanceof GrpcError || !isConnectionError(cause)) throw cause;
    throw new GrpcError(GRPC_STATUS.unavailable, messageOf(connectionError ?? cause), { cause });
  } finally {
    signal.removeEventListener('abort', onAbort);
    session.off('error', onError);
    stream.on('error', () => undefined).destroy();
  }
}

/** Chunks as they come; a stream that is destroyed without error just ends. */
async function* chunksOf(stream: ClientHttp2Stream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield chunk as Uint8Array;
}

function requireOk(
  headers: IncomingHttpHeaders,
  trailers: IncomingHttpHeaders | undefined,
  connectionError: unknown,
): void {
  // "Responses": an error without answers has its status in the headers.
  const last = trailers ?? headers;
  const status = last['grpc-status'];
  if (status === '0') return;
  if (
    status === undefined &&
    headers[':status'] !== undefined &&
    Number(headers[':status']) !== 200
  ) {
    throw new GrpcError(
      GRPC_STATUS.unavailable,
      `found http status ${headers[':status']}, expected 200`,
    );
  }
  if (status === undefined) {
    throw new GrpcError(
      GRPC_STATUS.unavailable,
      connectionError ? messageOf(connectionError) : 'the connection ended within a call',
    );
  }
  const text = decodeGrpcMessage(String(last['grpc-message'] ?? '')).slice(0, 500);
  throw new GrpcError(Number(status) || GRPC_STATUS.unknown, text);
}

function cancelled(signal: AbortSignal): GrpcError {
  const isLate = (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
  return isLate
    ? new GrpcError(GRPC_STATUS.deadlineExceeded, 'no answer in time')
    : new GrpcError(GRPC_STATUS.cancelled, 'ended by the caller', { cause: signal.reason });
}

function isConnectionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && !error.name.startsWith('Spiffe');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
