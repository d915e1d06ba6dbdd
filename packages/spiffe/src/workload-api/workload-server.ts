import type { Server, Socket } from 'node:net';
import { sdsService } from '../envoy/sds-service.ts';
import { createGrpcServer } from '../grpc/grpc-server.ts';
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
  const { server, close } = createGrpcServer({
    services: [workload, sdsService(serving), ...reflectionServices([workload])],
    // At once, before anything is read: credentials are those of the moment of connecting.
    onConnection: (socket) => {
      const caller = attested(attest, socket, onError);
      caller.catch(() => undefined);
      callers.set(socket, caller);
    },
    onError,
  });
  return { server, close };
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
