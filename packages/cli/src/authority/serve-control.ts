import type { Server as TlsServer } from 'node:tls';
import {
  type Collector,
  collectorRoutes,
  type RecordKeyStore,
  recordKeyRoutes,
} from '@countersign/audit';
import { bundleRoutes, controlRoutes, type Identity, nodeRoutes } from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { HostPort, RecordReader } from '@countersign/policy';
import { type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import {
  type BundleStore,
  type FactLog,
  feedRoutes,
  type StatementSigner,
} from '@countersign/state';
import Fastify, { type FastifyRequest } from 'fastify';
import { controlPeers } from './control-peer.ts';
import { listenError } from './listen-error.ts';
import type { Recorder } from './own-record.ts';
import type { OwnSvid } from './own-svid.ts';
import { type ReaderRoutesOptions, readerRoutes } from './reader-routes.ts';
import { recordAccess } from './record-access.ts';
import type { RecordQuestions } from './record-questions.ts';
import { endTainted, taintedReaders } from './tainted-connections.ts';

/** The listener of enforcement points and workloads. */
export interface ControlListener {
  /** SPIFFE IDs that have the feed open now. */
  connected(): ReadonlySet<string>;
  close(): Promise<void>;
}

/** What it serves. */
export interface ControlListenerOptions
  extends Pick<ReaderRoutesOptions, 'publishNow' | 'verifierKey' | 'defaultLog' | 'cosigned'> {
  readonly address: HostPort;
  readonly own: OwnSvid;
  readonly identity: Identity;
  readonly collector: Collector;
  readonly factLog: FactLog;
  readonly bundles: BundleStore;
  readonly factSigner: StatementSigner;
  readonly recordKeys: RecordKeyStore;
  readonly personalKinds: () => readonly string[];
  readonly retentionClasses: () => readonly string[];
  /** By point: the version of the record's keys that it holds. */
  readonly keyVersions: Map<string, number>;
  readonly questions: RecordQuestions;
  readonly publishedFolder: string;
  /** Who may read the record, by the configuration as last applied. */
  readonly readers: () => readonly RecordReader[];
  readonly record: Recorder;
  readonly now: Clock;
}

/**
 * Serves enrolment and renewal, nodes, the feed, the collection of logs, and the record to its readers; each route asks who the
 * peer is.
 */
export async function serveControl(options: ControlListenerOptions): Promise<ControlListener> {
  const { address, own, identity, collector, factLog, bundles, factSigner, now } = options;
  const { trustDomain } = identity.trustAnchors;
  const peers = controlPeers({ trustDomain, identity, now });
  const peer = peers.of;
  const tls: ServerTls = { svid: own.current, clientCertificates: 'request' };
  const app = Fastify({ https: serverTlsOptions(tls), forceCloseConnections: true });
  own.keepFresh(app.server as unknown as TlsServer, tls);

  const readers = new Map<string, number>();
  const count = (id: string, by: number): void => void readers.set(id, (readers.get(id) ?? 0) + by);
  const pointOf = ({ raw }: FastifyRequest): { name: string; spiffeId: string } | undefined => {
    const caller = peer(raw.socket);
    if (caller === undefined) return undefined;
    const isRevoked =
      identity.isRevoked('subject', caller.spiffeId) ||
      identity.isRevoked('certificate', caller.thumbprint);
    if (isRevoked) return undefined;
    return identity.points().find(({ spiffeId }) => spiffeId === caller.spiffeId);
  };

  await app.register(controlRoutes({ identity, peer: ({ raw }) => peers.renewing(raw.socket) }));
  await app.register(
    bundleRoutes({
      identity,
      signer: factSigner,
      isKnown: ({ raw }) => peers.renewing(raw.socket) !== undefined,
      now,
    }),
  );
  await app.register(
    nodeRoutes({
      nodes: identity.nodes,
      peer: ({ raw }) => peer(raw.socket),
      onChange: identity.onChange,
    }),
  );
  await app.register(collectorRoutes({ collector, peer: ({ raw }) => peer(raw.socket)?.spiffeId }));
  const hearsOfTaint = taintedReaders({ peers, identity, now });
  const feedReader = (request: FastifyRequest): string | undefined => pointOf(request)?.spiffeId;
  await app.register(
    recordKeyRoutes({
      store: options.recordKeys,
      holder: (request) => pointOf(request)?.name,
      classes: options.retentionClasses,
      onVersion: (name, version) => void options.keyVersions.set(name, version),
    }),
  );
  app.addHook('onRequest', async (request, reply) => {
    const id = request.url.startsWith('/v1/feed') ? feedReader(request) : undefined;
    if (id === undefined) return;
    count(id, 1);
    // With the answer, not with the connection: a feed that the authority ended may leave it open.
    reply.raw.once('close', () => count(id, -1));
  });
  await app.register(
    feedRoutes({
      factLog,
      bundles,
      factSigner,
      authorize: async (request) =>
        feedReader(request) !== undefined || (await hearsOfTaint(request.raw.socket)),
    }),
  );
  await app.register(
    readerRoutes({
      ...options,
      access: recordAccess(options),
      peer: ({ raw }) => peer(raw.socket),
    }),
  );
  const ending = endTainted(app.server as unknown as TlsServer, { peers, identity });
  app.addHook('onClose', async () => ending());
  try {
    await app.listen({ ...address });
  } catch (cause) {
    await app.close();
    throw listenError('authority.control', { address, cause });
  }
  return {
    connected: () => new Set([...readers].filter(([, open]) => open > 0).map(([id]) => id)),
    close: () => app.close(),
  };
}
