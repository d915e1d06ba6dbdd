import { once } from 'node:events';
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import type { AnyMessageType } from '../protobuf/message.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { encodeGrpcFrame, grpcMessages } from './grpc-frame.ts';
import { encodeGrpcMessage, GRPC_STATUS, GrpcError } from './grpc-status.ts';

/** One call of one method, as its handler sees it. */
export interface GrpcCall {
  readonly metadata: IncomingHttpHeaders;
  /** The connection that it came by. */
  readonly socket: Socket;
  /** Aborted when the caller has gone, or the server closes. */
  readonly signal: AbortSignal;
}

/** One method: all four kinds of gRPC in one shape, streams on both sides; a unary method has one message on each. */
export interface GrpcMethod {
  readonly request: AnyMessageType;
  readonly response: AnyMessageType;
  readonly isClientStream: boolean;
  readonly isServerStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: of the types above, which say what is in them.
  handle(requests: AsyncIterable<any>, call: GrpcCall): AsyncIterable<any>;
}

/** A service: its full name, and its methods by theirs. */
export interface GrpcService {
  readonly name: string;
  readonly methods: Readonly<Record<string, GrpcMethod>>;
}

/** What a server is made of. */
export interface GrpcServerOptions {
  readonly services: readonly GrpcService[];
  /** Told of each new connection, before it is read. */
  readonly onConnection: (socket: Socket) => void;
  /**
   * Admits a call before anything of it is read; what it throws ends the call. A call is over when its signal is aborted.
   */
  readonly admit?: (call: GrpcCall) => Promise<void>;
  /** Told of what a handler threw and the caller is not told. */
  readonly onError: (error: unknown, path: string) => void;
}

/** gRPC without TLS over whatever `node:net` listens on. */
export interface GrpcServer {
  /** Of `node:net`: `listen` it. */
  readonly server: Server;
  /** Ends every call as unavailable, and every connection. */
  close(): Promise<void>;
}

const REQUEST_BYTES_MAX = 65_536;
const CALLS_MAX = 100;
const CONNECTIONS_MAX = 4096;
/** How long a caller has to take the last word of its call, when the server closes. */
const GOODBYE_MS = 1000;

/**
 * Makes a gRPC server on `node:http2`.
 *
 * Bounds: messages of 64 KiB from callers, 100 calls a connection, 4,096 connections; a message is written when the
 * caller has taken the one before.
 *
 * @see gRPC over HTTP/2 (grpc/grpc: doc/PROTOCOL-HTTP2.md)
 */
export function createGrpcServer({
  services,
  onConnection,
  admit,
  onError,
}: GrpcServerOptions): GrpcServer {
  const methods = new Map<string, GrpcMethod>(
    services.flatMap(({ name, methods }) =>
      Object.entries(methods).map(([method, each]) => [`/${name}/${method}`, each] as const),
    ),
  );
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  const running = new Set<Promise<void>>();
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: CALLS_MAX } });
  // HTTP/2 gives a proxy of the socket, which passes properties through: so the socket leads to itself.
  const SELF = Symbol('socket');
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    Object.defineProperty(socket, SELF, { value: socket });
    onConnection(socket);
    if (!socket.destroyed) http2.emit('connection', socket);
  });
  server.maxConnections = CONNECTIONS_MAX;
  http2.on('sessionError', () => undefined);
  http2.on('stream', (stream, headers) => {
    const path = headers[':path'] ?? '';
    const call = serve(stream, headers, {
      path,
      method: methods.get(path),
      socket: (stream.session?.socket as { [SELF]?: Socket } | undefined)?.[SELF],
      closing: closing.signal,
      ...(admit && { admit }),
      onError,
    }).finally(() => running.delete(call));
    running.add(call);
  });
  return {
    server,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      closing.abort();
      const patience = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref());
      await Promise.race([Promise.allSettled(running), patience]);
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  asked: {
    readonly path: string;
    readonly method: GrpcMethod | undefined;
    readonly socket: Socket | undefined;
    readonly closing: AbortSignal;
    readonly admit?: NonNullable<GrpcServerOptions['admit']>;
    readonly onError: GrpcServerOptions['onError'];
  },
): Promise<void> {
  stream.on('error', () => undefined);
  const { path, method, socket, closing, admit, onError } = asked;
  // "Requests": anything else is not gRPC, and is told so in HTTP.
  if (headers[':method'] !== 'POST') return refuse(stream, 405);
  if (!/^application\/grpc(?:[+;]|$)/.test(headers['content-type'] ?? '')) {
    return refuse(stream, 415);
  }
  const gone = new AbortController();
  stream.once('close', () => gone.abort());
  const deadline = deadlineOf(headers['grpc-timeout']);
  const signals = [gone.signal, closing, ...(deadline ? [deadline] : [])];
  const signal = AbortSignal.any(signals);
  let error: GrpcError | undefined;
  try {
    if (!method || !socket) {
      throw new GrpcError(GRPC_STATUS.unimplemented, `found method ${path}, expected another`);
    }
    const call = { metadata: headers, socket, signal };
    await admit?.(call);
    await answer(stream, method, call);
    if (closing.aborted) throw new GrpcError(GRPC_STATUS.unavailable, 'the server closes');
    if (deadline?.aborted) throw new GrpcError(GRPC_STATUS.deadlineExceeded, 'too late');
  } catch (cause) {
    error = statusOf(cause);
    if (error.status === GRPC_STATUS.internal) onError(cause, path);
  }
  finish(stream, error);
}

async function answer(stream: ServerHttp2Stream, method: GrpcMethod, call: GrpcCall) {
  const requests = decoded(stream, method);
  const responses = method.handle(requests, call)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await orAborted(responses.next(), call.signal);
      if (next === undefined || next.done || stream.destroyed) return;
      if (!stream.headersSent) stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
      const hasRoom = stream.write(encodeGrpcFrame(method.response.encode(next.value)));
      // A caller that does not read holds one message, not a queue of them.
      if (!hasRoom) await orAborted(once(stream, 'drain'), call.signal).catch(() => undefined);
    }
  } finally {
    // Not awaited: a handler that hangs must not keep the answer.
    responses.return?.()?.catch(() => undefined);
  }
}

/** Undefined when the signal comes first. No race with a promise that lives as long as the stream: it would keep them all. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(undefined);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function* decoded(stream: ServerHttp2Stream, { request, isClientStream }: GrpcMethod) {
  // Whoever stops to read must still be able to answer.
  const chunks = stream.iterator({ destroyOnReturn: false });
  for await (const bytes of grpcMessages(chunks, { bytesMax: REQUEST_BYTES_MAX })) {
    if (!isClientStream) {
      // What comes after the one request is thrown away, so that the end of the call is seen.
      queueMicrotask(() => stream.resume());
      yield request.decode(bytes);
      return;
    }
    yield request.decode(bytes);
  }
}

const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc' } as const;

function finish(stream: ServerHttp2Stream, error: GrpcError | undefined): void {
  if (stream.destroyed || stream.closed) return;
  const trailers = {
    'grpc-status': String(error?.status ?? GRPC_STATUS.ok),
    ...(error ? { 'grpc-message': encodeGrpcMessage(error.message) } : {}),
  };
  if (stream.headersSent) {
    stream.once('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end();
  } else stream.respond({ ...RESPONSE_HEADERS, ...trailers }, { endStream: true });
}

function refuse(stream: ServerHttp2Stream, status: number): void {
  if (!stream.destroyed) stream.respond({ ':status': status }, { endStream: true });
}

function statusOf(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (error instanceof SpiffeError) {
    switch (error.code) {
      case 'ERR_SPIFFE_WORKLOAD_DENIED':
        return new GrpcError(GRPC_STATUS.permissionDenied, error.message);
      case 'ERR_SPIFFE_WORKLOAD_UNAVAILABLE':
        return new GrpcError(GRPC_STATUS.unavailable, error.message);
      case 'ERR_SPIFFE_WORKLOAD_EXHAUSTED':
        return new GrpcError(GRPC_STATUS.resourceExhausted, error.message);
      case 'ERR_SPIFFE_WORKLOAD_ARGUMENT':
      case 'ERR_SPIFFE_WORKLOAD_PROTOCOL':
        return new GrpcError(GRPC_STATUS.invalidArgument, error.message);
      default:
    }
  }
  // What broke here is nobody else's: the caller learns that it did.
  return new GrpcError(GRPC_STATUS.internal, 'internal error', { cause: error });
}

const TIMEOUT_UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** "Requests", Timeout: at most eight digits and a unit; one that cannot be read is none. */
function deadlineOf(text: unknown): AbortSignal | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(text)) ?? [];
  if (digits === undefined) return undefined;
  const ms = Number(digits) * (TIMEOUT_UNIT_MS[unit] ?? 0);
  // Longer than a timer can run is no bound.
  return ms > 2 ** 31 - 1 ? undefined : AbortSignal.timeout(Math.ceil(ms));
}
