import type { TLSSocket, Server as TlsServer } from 'node:tls';
import {
  type Collector,
  collectorRoutes,
  type RecordKeyStore,
  recordKeyRoutes,
} from '@countersign/audit';
import {
  bundleRoutes,
  controlRoutes,
  customerRoutes,
  deviceControlRoutes,
  type Identity,
  nodeRoutes,
} from '@countersign/identity';
import type { Clock } from '@countersign/model';
import type { HostPort, RecordReader, StorageConfig } from '@countersign/policy';
import { peerChain, type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import {
  type BundleStore,
  type FactLog,
  feedRoutes,
  type StatementSigner,
} from '@countersign/state';
import Fastify, { type FastifyRequest } from 'fastify';
import { customerSources } from '../customers/customer-sources.ts';
import { throttleRepeats } from '../point/throttle-repeats.ts';
import { boundConnections } from './bound-connections.ts';
import { controlPeers } from './control-peer.ts';
import { issuerRoutes } from './issuer-routes.ts';
import type { OwnSvid } from './keys/own-svid.ts';
import { listenError } from './listen-error.ts';
import type { Recorder } from './record/own-record.ts';
import { type ReaderRoutesOptions, readerRoutes } from './record/reader-routes.ts';
import { recordAccess } from './record/record-access.ts';
import type { RecordQuestions } from './record/record-questions.ts';
import { endTainted, taintedReaders } from './tainted-connections.ts';

/** A port scan must not fill the record. */
const HANDSHAKES_EVERY_MS = 60_000;
/** Who opens a connection and says nothing holds it no longer. */
const HANDSHAKE_MS_MAX = 10_000;

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
  /** Names of issuers beside the authority, by the configuration as last applied. */
  readonly issuers: () => readonly string[];
  readonly storage: StorageConfig | undefined;
  readonly tokenSecret: Uint8Array;
  /** Who may read the record, by the configuration as last applied. */
  readonly readers: () => readonly RecordReader[];
  /** SPIFFE IDs of who writes customers, by the same. */
  readonly customerSources: () => readonly string[];
  readonly customerFault: Parameters<typeof customerRoutes>[0]['faultOf'];
  readonly record: Recorder;
  readonly now: Clock;
  readonly warn: (text: string) => void;
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
  const app = Fastify({
    https: { ...serverTlsOptions(tls), handshakeTimeout: HANDSHAKE_MS_MAX },
    forceCloseConnections: true,
    // A customer's id is longer than what Fastify takes as a named parameter.
    routerOptions: { maxParamLength: 400 },
  });
  own.keepFresh(app.server as unknown as TlsServer, tls);
  recordFailedHandshakes(app.server as unknown as TlsServer, options);
  const { record, warn } = options;
  boundConnections(app.server as unknown as TlsServer, { peers, record, now, warn });

  const readers = new Map<string, number>();
  const count = (id: string, by: number): void => void readers.set(id, (readers.get(id) ?? 0) + by);
  const pointOf = ({ raw }: FastifyRequest): { name: string; spiffeId: string } | undefined => {
    const caller = peer(raw.socket);
    if (caller === undefined) return undefined;
    const isRevoked =
      identity.isRevoked('subject', caller.spiffeId) ||
      identity.isRevoked('certificate', caller.names);
    if (isRevoked) return undefined;
    return identity.points().find(({ spiffeId }) => spiffeId === caller.spiffeId);
  };

  await app.register(
    controlRoutes({
      identity,
      peer: ({ raw }) => peers.renewing(raw.socket),
      chain: ({ raw }) => peerChain(raw.socket as TLSSocket),
    }),
  );
  await app.register(
    customerRoutes({
      ...{ identity, faultOf: options.customerFault },
      caller: customerSources({
        peer: ({ raw }) => peer(raw.socket),
        sources: options.customerSources,
        ...{ identity, record, now, warn },
      }),
    }),
  );
  await app.register(deviceControlRoutes({ devices: identity.devices }));
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
      // One whose authority is tainted is told so: it is no refusal, and takes nothing away from its workloads.
      peer: ({ raw }) => peers.renewing(raw.socket),
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
  await app.register(
    issuerRoutes({
      ...{ storage: options.storage, tokenSecret: options.tokenSecret, record },
      issuer(request) {
        const point = pointOf(request);
        return point && options.issuers().includes(point.name) ? point.spiffeId : undefined;
      },
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

/** Who shows a certificate whose key it does not have gets no further than the handshake; the record has it all the same. */
function recordFailedHandshakes(
  server: TlsServer,
  { record, now, warn }: Pick<ControlListenerOptions, 'record' | 'now' | 'warn'>,
): void {
  let ip = '';
  const failed = throttleRepeats<'handshake-failed'>({
    everyMs: HANDSHAKES_EVERY_MS,
    now,
    tell(reason, detail, count) {
      record({
        ...{ kind: 'authentication', result: 'refused', reason, ip, listener: 'control' },
        detail: (count > 1 ? `${detail} (${count} since the last that was told)` : detail).slice(
          0,
          1000,
        ),
      }).catch((error: Error) => warn(`a failed handshake was not recorded: ${error.message}`));
    },
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    ip = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    failed('handshake-failed', `${error.code ?? ''} ${error.message}`.replace(/\s+/g, ' ').trim());
  });
}
