import type { Server, Socket } from 'node:net';
import { sdsService } from '../envoy/sds-service.ts';
import { createGrpcServer, type GrpcCall } from '../grpc/grpc-server.ts';
import { reflectionServices } from '../grpc/reflection.ts';
import { SpiffeError } from '../spiffe-error.ts';
import { workloadService } from './workload-service.ts';
import type { WorkloadSource } from './workload-source.ts';

/** What a Workload API server is made of. */
export interface WorkloadServerOptions<Caller> {
  /**
   * Tells who is at the other end of a connection, once, when it was opened: by the kernel's peer credentials, or by the
   * socket that it came in at. Whoever it rejects is denied.
   */
  readonly attest: (socket: Socket) => Promise<Caller> | Caller;
  readonly source: WorkloadSource<Caller>;
  readonly now: () => number;
  /** Told of what went wrong inside: an attestation that failed, a source that threw. */
  readonly onError: (error: unknown, what: string) => void;
  /**
   * How long to wait before a push, drawn for each, so that not all workloads reload at once; none when absent. The
   * first answer of a stream never waits.
   */
  readonly pushDelayMs?: () => number;
  /**
   * How many calls may be open at once of those that `of` counts together, such as all of one user; no bound beside that of each
   * connection when absent. A call beyond it is answered `ResourceExhausted`.
   */
  readonly calls?: { readonly of: (caller: Caller) => string; readonly max: number };
}

/** A Workload API server, which listens where it is told to. */
export interface WorkloadServer {
  /** Of `node:net`: `server.listen('/run/spiffe/workload.sock')`. */
  readonly server: Server;
  /** Ends every stream as unavailable, so that clients come back. */
  close(): Promise<void>;
}

/**
 * Makes a SPIFFE Workload API server, X.509 and JWT profiles, with Envoy's secret discovery service and gRPC reflection
 * beside it.
 *
 * It answers `InvalidArgument` without the metadata `workload.spiffe.io: true`, `PermissionDenied` to a caller without
 * identity, also in the midst of a stream, `Unimplemented` to the WIT profile (incubating). The permissions of the
 * socket's file are the caller's: every local process must be able to connect.
 *
 * @see SPIFFE Workload API, SPIFFE Workload Endpoint
 */
export function createWorkloadServer<Caller>({
  attest,
  source,
  now,
  onError,
  pushDelayMs = () => 0,
  calls,
}: WorkloadServerOptions<Caller>): WorkloadServer {
  const callers = new WeakMap<Socket, Promise<Caller>>();
  const serving = {
    source,
    now,
    delayMs: pushDelayMs,
    callerOf: async ({ socket }: { readonly socket: Socket }) => {
      const caller = callers.get(socket);
      if (caller) return caller;
      throw new Error('broken invariant: a call without a connection');
    },
  };
  const workload = workloadService(serving);
  const admit = calls && callBound(calls, serving.callerOf);
  const { server, close } = createGrpcServer({
    services: [workload, sdsService(serving), ...reflectionServices([workload])],
    // At once, before anything is read: credentials are those of the moment of connecting.
    onConnection: (socket) => {
      const caller = attested(attest, socket, onError);
      caller.catch(() => undefined);
      callers.set(socket, caller);
    },
    ...(admit && { admit }),
    onError,
  });
  return { server, close };
}

/** Each open call is answered anew at each change: whoever has many makes all others wait for theirs. */
function callBound<Caller>(
  { of, max }: NonNullable<WorkloadServerOptions<Caller>['calls']>,
  callerOf: (call: GrpcCall) => Promise<Caller>,
): (call: GrpcCall) => Promise<void> {
  const open = new Map<string, number>();
  return async (call) => {
    const caller = await callerOf(call).catch(() => undefined);
    // Who could not be attested is told so by the call itself, and it ends.
    if (caller === undefined || call.signal.aborted) return;
    const name = of(caller);
    const before = open.get(name) ?? 0;
    if (before >= max) {
      throw new SpiffeError(
        'ERR_SPIFFE_WORKLOAD_EXHAUSTED',
        `could not serve workload: found ${before} open calls, expected fewer than ${max}`,
      );
    }
    open.set(name, before + 1);
    call.signal.addEventListener('abort', () => {
      const left = (open.get(name) ?? 1) - 1;
      if (left === 0) open.delete(name);
      else open.set(name, left);
    });
  };
}

async function attested<Caller>(
  attest: (socket: Socket) => Promise<Caller> | Caller,
  socket: Socket,
  onError: WorkloadServerOptions<Caller>['onError'],
): Promise<Caller> {
  try {
    return await attest(socket);
  } catch (cause) {
    onError(cause, 'attestation');
    // Fails closed, and says nothing about why: the caller is a stranger.
    throw new SpiffeError(
      'ERR_SPIFFE_WORKLOAD_DENIED',
      'could not serve workload: found a caller that cannot be attested, expected a local process',
      { cause },
    );
  }
}
