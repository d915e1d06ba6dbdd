import type { Socket } from 'node:net';
import { IdentityError } from '../identity-error.ts';

/** Who is at the other end of a unix socket, by the kernel's word at the moment of connecting. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** A handle on that very process, which says when it has ended; absent where the kernel gives none (before 6.5). */
  readonly pidfd?: number;
}

/** Reads the credentials of connections; `undefined` of a socket that is closed already. */
export type ReadPeerCredentials = (socket: Socket) => PeerCredentials | undefined;

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;

/**
 * The native part: `getsockopt` of the C library, through `koffi`, which is an optional dependency.
 *
 * @throws {IdentityError} `ERR_IDENTITY_ATTESTATION` where it cannot be loaded, or the system is not Linux
 * @see unix(7), SO_PEERCRED and SO_PEERPIDFD
 */
export async function loadPeerCredentials(): Promise<ReadPeerCredentials> {
  if (process.platform !== 'linux') {
    throw unavailable(`found ${process.platform}, expected linux`);
  }
  let getsockopt: (...values: unknown[]) => number;
  try {
    const { default: koffi } = await import('koffi');
    getsockopt = koffi
      .load(null)
      .func(
        'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
      );
  } catch (cause) {
    throw unavailable(`found no usable koffi: ${(cause as Error).message}`, cause);
  }
  const read = (fd: number, name: number, bytes: number): Buffer | undefined => {
    const value = Buffer.alloc(bytes);
    const length = [bytes];
    const isRead = getsockopt(fd, SOL_SOCKET, name, value, length) === 0 && length[0] === bytes;
    return isRead ? value : undefined;
  };
  return (socket) => {
    const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null };
    const fd = handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    // struct ucred: pid, uid, gid, 32 bits each.
    const credentials = read(fd, SO_PEERCRED, 12);
    if (credentials === undefined) return undefined;
    const pidfd = read(fd, SO_PEERPIDFD, 4)?.readInt32LE(0);
    return {
      pid: credentials.readInt32LE(0),
      uid: credentials.readUInt32LE(4),
      gid: credentials.readUInt32LE(8),
      ...(pidfd !== undefined && pidfd >= 0 && { pidfd }),
    };
  };
}

function unavailable(found: string, cause?: unknown): IdentityError {
  return new IdentityError(
    'ERR_IDENTITY_ATTESTATION',
    `could not read peer credentials: ${found}`,
    cause === undefined ? undefined : { cause },
  );
}
