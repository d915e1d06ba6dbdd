import { closeSync } from 'node:fs';
import { chmod, chown } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createProcessAttestor,
  IdentityError,
  loadPeerCredentials,
  type ReadPeerCredentials,
  type Selectors,
} from '@countersign/identity/attestation';
import { type Attestation, connectWorkload } from '@countersign/sdk';
import { createWorkloadServer } from '@countersign/spiffe';
import { createClosers } from '../closers.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { keepTrustFile, readTrustFile } from '../trust-file.ts';
import { claimSocket } from './claim-socket.ts';
import { HeldJwtSvids } from './held-jwt-svids.ts';
import { HeldSvids } from './held-svids.ts';
import { type NodeAuthority, NodeRefusal, nodeAuthority } from './node-authority.ts';
import { createNodeSource, type NodeCaller, type NodeSource } from './node-source.ts';
import { serveNodeOperator } from './serve-node-operator.ts';

/** `sun_path` of Linux is 108 bytes with its end. */
const SOCKET_PATH_BYTES_MAX = 107;
/** Of all processes of one user; each has a connection or two. */
const CONNECTIONS_OF_ONE_USER_MAX = 1000;
/**
 * Of all processes of one user: an open stream for each kind of thing that a process follows. A host of containers may have a
 * hundred of one user; each stream is answered at each change, before others are.
 */
const CALLS_OF_ONE_USER_MAX = 500;
const RETRY_MS = { first: 500, max: 10_000 } as const;
/** Entries end by the clock. */
const LOOK_EVERY_MS = 1000;
/** So that not all workloads of a host reload in one moment. */
const PUSH_SPLAY_MS = 250;

/** A socket for one workload, for where the kernel does not tell who connects, and for containers. */
export interface NamedSocket {
  readonly name: string;
  readonly path: string;
  /** Whose file it is; the node's own user if not said. */
  readonly uid?: number;
}

/** What a node is started with. */
export interface RunNodeOptions {
  readonly dataRoot: string;
  readonly trustFile?: string;
  readonly joinToken?: string;
  /** What lets it join without a join token. */
  readonly attestation?: Attestation;
  /** Where every process of the host may connect. */
  readonly socket: string;
  readonly namedSockets: readonly NamedSocket[];
  readonly now: () => number;
  readonly warn: (text: string) => void;
}

/** A node that serves. */
export interface RunningNode {
  readonly spiffeId: string;
  /** Paths that it listens at. */
  readonly sockets: readonly string[];
  close(): Promise<void>;
}

/**
 * Starts a node: it becomes the workload that its join token or what attests it names, follows the entries that the authority has for it, and serves
 * the SPIFFE Workload API (with Envoy's SDS) to the processes of its host.
 *
 * @throws {CommandError} when the authority refuses it, a path is too long, or credentials cannot be read and no named
 *   socket was given
 */
export async function runNode(options: RunNodeOptions): Promise<RunningNode> {
  const { now, warn, namedSockets } = options;
  const folder = dataFolder(options.dataRoot);
  const trust = await readTrustFile(options.trustFile ?? folder.trustFile);
  const { trustDomain, controlUrl } = trust;
  const authorityId = `spiffe://${trustDomain}/workload/countersign/authority`;
  const closers = createClosers();
  try {
    const credentials = await credentialsReader(options);
    // Before a token is spent for a node that could not serve.
    const wanted = [
      ...(credentials ? [options.socket] : []),
      ...namedSockets.map(({ path }) => path),
    ];
    for (const path of [folder.nodeAdminSocket, ...wanted]) await claimSocket(path);
    const workload = await connectWorkload({
      authorityUrl: controlUrl,
      authoritySpiffeId: authorityId,
      x509Authorities: trust.x509Authorities,
      factKeys: trust.factKeys,
      trustDomain,
      folder: folder.nodeSvid,
      ...(options.joinToken !== undefined && { joinToken: options.joinToken }),
      ...(options.attestation && { attestation: options.attestation }),
      onFailure: (error) => warn(error.message),
      now,
    });
    closers.add(() => workload.close());
    await keepTrustFile(trust, { from: options.trustFile, to: folder.trustFile });
    const authority = nodeAuthority({
      origin: controlUrl,
      dispatcher: () => workload.dispatcherFor(controlUrl, authorityId),
      now,
    });
    const source: NodeSource = createNodeSource({
      ...{ held: () => held, heldJwts: () => heldJwts, trustDomain, now },
    });
    const isWanted = (spiffeId: string): boolean =>
      source.entries().some((entry) => entry.spiffeId === spiffeId);
    const onRenewed = source.changed;
    const held = new HeldSvids({ authority, trustDomain, now, warn, isWanted, onRenewed });
    const heldJwts = new HeldJwtSvids({ authority, now, isWanted });
    closers.add(() => held.close());
    closers.add(workload.onRotate(() => held.askForDistrusted()));
    const following = await followEntries(authority, {
      ...{ source, warn },
      spiffeId: workload.spiffeId,
    });
    closers.add(() => following.close());
    const expiry = watchExpiry(source, now);
    closers.add(() => clearInterval(expiry));

    const attestor = createProcessAttestor({
      wantsHash: (found) =>
        source.entries().some(({ selectors }) => selectors.some((each) => isHashLeft(each, found))),
    });
    const connections = new ConnectionCount(CONNECTIONS_OF_ONE_USER_MAX);
    const attestBy =
      (name?: string) =>
      async (socket: Socket): Promise<NodeCaller> => {
        const own = name === undefined ? [] : [`socket:name:${name}`];
        const peer = credentials?.(socket);
        if (!credentials && name !== undefined) return { selectors: new Set(own) };
        if (!peer) throw new Error('found a connection without credentials');
        // Each takes descriptors: one user must not take them from all others.
        if (!connections.enter(peer.uid, socket)) {
          socket.destroy();
          if (peer.pidfd !== undefined) closeSync(peer.pidfd);
          throw new Error(
            `found more than ${CONNECTIONS_OF_ONE_USER_MAX} connections of uid ${peer.uid}`,
          );
        }
        const process = await attestor.attest(peer);
        socket.once('close', () => void process.close());
        return { process, selectors: new Set([...process.selectors, ...own]) };
      };
    const serve = async (path: string, socket: { name?: string; uid?: number }): Promise<void> => {
      const api = createWorkloadServer<NodeCaller>({
        attest: attestBy(socket.name),
        source,
        now,
        onError: (error, what) => warn(`${what}: ${(error as Error).message}`),
        pushDelayMs: () => Math.random() * PUSH_SPLAY_MS,
        calls: {
          of: ({ process }) => (process ? `uid ${process.uid}` : 'socket'),
          max: CALLS_OF_ONE_USER_MAX,
        },
      });
      await listenAt(api.server, path, socket);
      closers.add(() => api.close());
    };
    if (credentials) await serve(options.socket, {});
    for (const { path, ...named } of namedSockets) await serve(path, named);
    const operator = await serveNodeOperator(folder.nodeAdminSocket, {
      ...{ source, attestor },
      spiffeId: workload.spiffeId,
      joinedBy: () => workload.joinedBy,
    });
    closers.add(() => operator.close());
    return {
      spiffeId: workload.spiffeId,
      sockets: [...(credentials ? [options.socket] : []), ...namedSockets.map(({ path }) => path)],
      close: closers.closeAll,
    };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

/** Whether all that is missing of an alternative is what the executable hashes to. */
function isHashLeft(selectors: readonly string[], found: Selectors): boolean {
  const missing = selectors.filter((selector) => !found.has(selector));
  return missing.length > 0 && missing.every((selector) => selector.startsWith('unix:sha256:'));
}

/** Counts the connections of each user. */
class ConnectionCount {
  readonly #most: number;
  readonly #of = new Map<number, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False when the user has as many as one may have; else counted until the socket closes. */
  enter(uid: number, socket: Socket): boolean {
    const held = this.#of.get(uid) ?? 0;
    if (held >= this.#most) return false;
    this.#of.set(uid, held + 1);
    socket.once('close', () => {
      const left = (this.#of.get(uid) ?? 1) - 1;
      if (left === 0) this.#of.delete(uid);
      else this.#of.set(uid, left);
    });
    return true;
  }
}

/** Nothing where the kernel's word cannot be had: then only named sockets are served. */
async function credentialsReader({
  namedSockets,
  warn,
}: RunNodeOptions): Promise<ReadPeerCredentials | undefined> {
  try {
    return await loadPeerCredentials();
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    if (namedSockets.length === 0) {
      throw new CommandError(
        `cannot attest: ${error.message}; serve each workload at a socket of its own: --workload NAME=PATH`,
        { cause: error },
      );
    }
    warn(`${error.message}; only the sockets of --workload are served`);
    return undefined;
  }
}

/** Follows the entries, beginning with those of now. */
async function followEntries(
  authority: NodeAuthority,
  {
    spiffeId,
    source,
    warn,
  }: {
    readonly spiffeId: string;
    readonly source: NodeSource;
    readonly warn: (text: string) => void;
  },
): Promise<{ close(): Promise<void> }> {
  const closed = new AbortController();
  let version: string | undefined;
  let failures = 0;
  const once = async (): Promise<void> => {
    const state = await authority.state(version, closed.signal);
    failures = 0;
    if (state.version === version) return;
    version = state.version;
    source.take(state);
  };
  const failed = (error: unknown): void => {
    if (closed.signal.aborted) return;
    if (error instanceof NodeRefusal) {
      version = undefined;
      source.forget();
    }
    if (failures === 0) warn(`entries did not come: ${(error as Error).message}`);
    failures += 1;
  };
  // Without the authority the node is there, and tells its callers to come again.
  await once().catch((error: unknown) => {
    if (error instanceof NodeRefusal && error.status === 403) {
      throw new CommandError(
        `cannot serve workloads: the authority refuses ${spiffeId}: ${error.message}; expected a subject that is registered with isNode: true`,
        { cause: error },
      );
    }
    failed(error);
  });
  const following = (async () => {
    while (!closed.signal.aborted) {
      if (failures > 0) {
        const waitMs = Math.min(RETRY_MS.first * 2 ** Math.min(failures - 1, 8), RETRY_MS.max);
        await sleep(waitMs, undefined, { signal: closed.signal }).catch(() => undefined);
        if (closed.signal.aborted) return;
      }
      await once().catch(failed);
    }
  })();
  return {
    async close() {
      closed.abort();
      await following;
    },
  };
}

/** Tells open streams when an entry has ended. */
function watchExpiry(source: NodeSource, now: () => number): NodeJS.Timeout {
  const ended = (): number =>
    source.entries().filter(({ expiresMs = Number.POSITIVE_INFINITY }) => expiresMs <= now())
      .length;
  let before = ended();
  const timer = setInterval(() => {
    const after = ended();
    if (after !== before) source.changed();
    before = after;
  }, LOOK_EVERY_MS);
  timer.unref();
  return timer;
}

/** The Workload API has no credentials: who may open the file may ask, and gets what the kernel says that it is. */
async function listenAt(
  server: Server,
  path: string,
  { name, uid }: { readonly name?: string; readonly uid?: number },
): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw new CommandError(
      `cannot serve workloads at ${path}: found ${bytes} bytes, expected at most ${SOCKET_PATH_BYTES_MAX}`,
    );
  }
  await claimSocket(path);
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } catch (cause) {
    throw new CommandError(`cannot serve workloads at ${path}: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    process.umask(before);
  }
  if (name === undefined) await chmod(path, 0o777);
  else if (uid !== undefined) await chown(path, uid, -1);
}
