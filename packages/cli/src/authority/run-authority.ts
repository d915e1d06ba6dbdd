import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttps } from 'node:https';
import type { Server as TlsServer } from 'node:tls';
import { collectorRoutes, openCollector } from '@countersign/audit';
import { createCedarEngine } from '@countersign/cedar';
import {
  adminRoutes,
  controlRoutes,
  type Recorder as IdentityRecorder,
  openIdentity,
  openKeyring,
} from '@countersign/identity';
import { nodeDisk, openLog } from '@countersign/ledger';
import type { Clock } from '@countersign/model';
import { checkRepository, type HostPort, type Problem, type Repository } from '@countersign/policy';
import { encodePem, type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import { feedRoutes, openBundleStore, openDatabase, openFactLog } from '@countersign/state';
import Fastify, { type FastifyInstance } from 'fastify';
import { policyTestRunner } from '../check/policy-tests.ts';
import { problemText } from '../check/problem-text.ts';
import { CommandError } from '../command-line/command.ts';
import { dataFolder } from '../data-folder.ts';
import { readPassphrase } from '../passphrase.ts';
import { controlPeers } from './control-peer.ts';
import { createEventStream } from './event-stream.ts';
import { needsRestart } from './needs-restart.ts';
import { type Applied, operatorRoutes } from './operator-routes.ts';
import { createRecorder } from './own-record.ts';
import { openOwnSvid } from './own-svid.ts';
import { type Publication, publishBundle } from './publish-bundle.ts';
import { openRiskLoop } from './risk-loop.ts';

const OWN_SVID_SECONDS = 3600;
const SWEEP_EVERY_MS = 60_000;
/** `sun_path` of Linux is 108 bytes with its end; Node would cut a longer one and listen elsewhere. */
const SOCKET_PATH_BYTES_MAX = 107;

/** What an authority is started with. */
export interface RunAuthorityOptions {
  readonly repositoryFolder: string;
  readonly dataRoot: string;
  /** Events of a past week (NDJSON, each `replayed`), learned once when there is no risk state yet. */
  readonly historyFile?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: Clock;
  readonly warn: (text: string) => void;
}

/** An authority that serves. */
export interface RunningAuthority {
  readonly repository: Repository;
  readonly addresses: {
    readonly control: string;
    readonly issuer: string;
    readonly admin: string;
  };
  createJoinToken(spiffeId: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * Starts the authority: checks the repository, publishes it, and serves enforcement points and
 * workloads (control), OAuth clients (issuer) and the operator (admin socket).
 *
 * @throws {CommandError} when the repository has errors; they are told through `warn`
 */
export async function runAuthority(options: RunAuthorityOptions): Promise<RunningAuthority> {
  const { now, warn } = options;
  const folder = dataFolder(options.dataRoot);
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const close = async (): Promise<void> => {
    // What was opened last is closed first: nothing is closed under something that uses it.
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  if (Buffer.byteLength(folder.adminSocket) > SOCKET_PATH_BYTES_MAX) {
    throw new CommandError(
      `cannot serve the operator at ${folder.adminSocket}: found ${Buffer.byteLength(folder.adminSocket)} bytes, expected at most ${SOCKET_PATH_BYTES_MAX}; take a data folder with a shorter path`,
    );
  }
  try {
    const engine = createCedarEngine();
    closers.push(() => engine.close());
    const check = (): ReturnType<typeof checkRepository> =>
      checkRepository(options.repositoryFolder, {
        engine,
        now,
        runTest: policyTestRunner(engine, now),
      });
    const { repository, problems } = await check();
    for (const problem of problems) warn(problemText(problem));
    if (!repository)
      throw new CommandError('cannot start the authority: the repository has errors');
    const { config } = repository;
    const { trustDomain } = config;

    await mkdir(folder.keysFolder, { recursive: true, mode: 0o700 });
    const secret = await readPassphrase({
      configuredFile: config.authority.passphraseFile,
      defaultFile: folder.passphraseFile,
      env: options.env,
    });
    if (secret.isMade)
      warn(
        `the keys' passphrase lies beside them in ${folder.passphraseFile}; name another place with authority.passphraseFile`,
      );
    const keyring = await openKeyring({ folder: folder.keysFolder, passphrase: secret.passphrase });

    const origin = `${trustDomain}/authority`;
    const log = await openLog({
      origin,
      signer: { name: origin, ...keyring.log },
      disk: nodeDisk(folder.authorityLog),
      now,
    });
    closers.push(() => log.close());
    const stream = createEventStream();
    const record = createRecorder({ log, now, publish: (events) => stream.publish(events) });

    const database = openDatabase({ file: folder.stateFile });
    closers.push(() => database.close());
    const factLog = await openFactLog(database, { trustDomain, now });
    const bundles = await openBundleStore(database);
    const identity = await openIdentity({
      database,
      factLog,
      keyring,
      now,
      record: record as IdentityRecorder,
      options: {
        svidTtlSeconds: config.authority.svidTtlSeconds,
        accessTokenTtlSeconds: config.authority.accessTokenTtlSeconds,
        issuerUrl: config.authority.issuerUrl,
        hostNamesOf: (spiffeId) => pointNames(spiffeId, repository),
      },
    });

    const risk = await openRiskLoop({
      snapshotFile: folder.riskSnapshot,
      identity,
      factLog,
      record,
      playbooks: repository.playbooks,
      now,
      warn,
    });
    closers.push(() => risk.close());
    const pointNamesOf = (): readonly string[] => identity.points().map(({ name }) => name);
    const collector = await openCollector({
      folder: folder.mirrors,
      now,
      points: (name) => {
        const point = identity.points().find((each) => each.name === name);
        return point?.logVerifierKey === undefined
          ? undefined
          : {
              origin: `${trustDomain}/${name}`,
              verifierKey: point.logVerifierKey,
              spiffeId: point.spiffeId,
            };
      },
      onEvents: (name, events) => {
        stream.publish(events);
        risk.observe(name, events, (events.at(-1)?.seq ?? -1) + 1);
      },
      onAlarm: ({ name, alarm, detail }) => {
        record({ kind: 'alarm', alarm, detail: `${name}: ${detail}`.slice(0, 1000) }).catch(
          () => undefined,
        );
        warn(`alarm ${alarm}: ${name}: ${detail}`);
      },
    });
    closers.push(() => collector.close());

    const publish = async (next: Repository, by: string): Promise<Publication> => {
      await identity.registerPoints(pointsOf(next));
      await identity.applyRegistrations(next.registrations, next.entities, { by });
      const publication = await publishBundle(next, { bundles, signer: keyring.policy, now });
      risk.setPlaybooks(next.playbooks);
      if (publication.published) {
        const { sequence, version } = publication;
        await record({
          kind: 'administration',
          action: 'bundle-published',
          by,
          target: version,
          detail: { sequence },
        });
      }
      return publication;
    };
    await publish(repository, 'system');
    if (options.historyFile !== undefined && risk.isNew) {
      // Beside the start, not before it: nobody waits for a baseline to be served.
      const learned = risk
        .learn(options.historyFile)
        .then((events) =>
          record({
            kind: 'administration',
            action: 'baseline-replayed',
            by: 'system',
            detail: { events },
          }),
        )
        .catch((error: Error) =>
          warn(`cannot learn from ${options.historyFile}: ${error.message}`),
        );
      closers.push(() => learned);
    }
    await risk.catchUp(collector, pointNamesOf());

    const operator = `local:uid=${process.getuid?.() ?? 0}`;
    let applying: Promise<unknown> = Promise.resolve();
    const apply = (): Promise<Applied | readonly Problem[]> => {
      const done = applying.then(async () => {
        const next = await check();
        if (!next.repository) return next.problems;
        const publication = await publish(next.repository, operator);
        return { ...publication, restart: needsRestart(config, next.repository.config) };
      });
      applying = done.catch(() => undefined);
      return done;
    };

    await writeFile(
      folder.trustFile,
      `${JSON.stringify({ ...identity.trustAnchors, controlUrl: `https://${config.authority.control.host}:${config.authority.control.port}` }, undefined, 2)}\n`,
    );
    // The same authorities for curl, openssl and whoever else reads no JSON.
    await writeFile(
      folder.trustPemFile,
      encodePem(identity.trustAnchors.x509Authorities.map((text) => Buffer.from(text, 'base64'))),
    );
    const own = await openOwnSvid(identity, {
      names: {
        dnsNames: ['localhost'],
        ipAddresses: [config.authority.control.host, config.authority.issuer.host].filter(
          isAddress,
        ),
      },
      ttlSeconds: OWN_SVID_SECONDS,
      warn,
    });
    closers.push(() => own.close());
    const tls: ServerTls = { svid: own.current, clientCertificates: 'request' };
    const peers = controlPeers({
      trustDomain,
      authorities: () =>
        identity.trustAnchors.x509Authorities.map((text) => Buffer.from(text, 'base64')),
      now,
    });

    const readers = new Map<string, number>();
    const control = Fastify({ https: serverTlsOptions(tls), forceCloseConnections: true });
    own.keepFresh(control.server as unknown as TlsServer, tls);
    const isPoint = (spiffeId: string): boolean =>
      identity.points().some((point) => point.spiffeId === spiffeId) &&
      !identity.isRevoked('subject', spiffeId);
    await control.register(
      controlRoutes({ identity, peer: (request) => peers(request.raw.socket) }),
    );
    await control.register(
      collectorRoutes({ collector, peer: (request) => peers(request.raw.socket)?.spiffeId }),
    );
    control.addHook('onRequest', async (request) => {
      if (!request.url.startsWith('/v1/feed')) return;
      const id = peers(request.raw.socket)?.spiffeId;
      if (id === undefined) return;
      readers.set(id, (readers.get(id) ?? 0) + 1);
      request.raw.socket.once('close', () => readers.set(id, (readers.get(id) ?? 1) - 1));
    });
    await control.register(
      feedRoutes({
        factLog,
        bundles,
        factSigner: keyring.facts,
        authorize: (request) => {
          const peer = peers(request.raw.socket);
          return (
            peer !== undefined &&
            isPoint(peer.spiffeId) &&
            !identity.isRevoked('certificate', peer.thumbprint)
          );
        },
      }),
    );
    await control.listen({ ...config.authority.control });
    closers.push(() => control.close());

    const issuer = createHttps(serverTlsOptions(tls), (request, response) =>
      identity.issuer.handler(request, response),
    );
    own.keepFresh(issuer, tls);
    await listenOn(issuer, config.authority.issuer);
    closers.push(
      () =>
        new Promise((resolve) => {
          issuer.close(resolve);
          issuer.closeAllConnections();
        }),
    );

    const admin = Fastify({ forceCloseConnections: true });
    await admin.register(adminRoutes({ identity, by: operator }));
    await admin.register(
      operatorRoutes({
        trustDomain,
        identity,
        collector,
        bundles,
        factLog,
        log,
        stream,
        risk: risk.engine,
        connected: () => new Set([...readers].filter(([, open]) => open > 0).map(([id]) => id)),
        apply,
      }),
    );
    await listenPrivately(admin, folder.adminSocket);
    closers.push(() => admin.close());

    const sweeper = setInterval(() => {
      identity.sweep().catch((error: Error) => warn(`sweep failed: ${error.message}`));
    }, SWEEP_EVERY_MS);
    sweeper.unref();
    closers.push(() => clearInterval(sweeper));

    await record({ kind: 'administration', action: 'authority-started', by: 'system' });
    closers.push(() =>
      record({ kind: 'administration', action: 'authority-stopped', by: 'system' }),
    );

    return {
      repository,
      addresses: {
        control: `https://${config.authority.control.host}:${config.authority.control.port}`,
        issuer: config.authority.issuerUrl,
        admin: folder.adminSocket,
      },
      async createJoinToken(spiffeId) {
        const made = await identity.createJoinToken({ spiffeId, by: 'system' });
        if (!made.isGranted)
          throw new CommandError(`cannot make a join token for ${spiffeId}: ${made.code}`);
        return made.joinToken;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A point may mint transaction tokens for the surfaces that it fronts. */
function pointsOf({
  config,
}: Repository): readonly { name: string; surfaces: readonly string[] }[] {
  return config.points.map(({ name, listeners }) => ({
    name,
    surfaces: [...new Set(listeners.flatMap(({ routes }) => routes.map(({ surface }) => surface)))],
  }));
}

/** Partners know an edge by its host name: the SVIDs of points name it. */
function pointNames(
  spiffeId: string,
  { config }: Repository,
): { dnsNames?: readonly string[]; ipAddresses?: readonly string[] } {
  const point = config.points.find(
    ({ name }) => spiffeId === `spiffe://${config.trustDomain}/workload/countersign/${name}`,
  );
  if (!point) return {};
  const hosts = [...new Set(point.listeners.map(({ address }) => address.host))];
  return {
    dnsNames: ['localhost', ...hosts.filter((host) => !isAddress(host) && host !== 'localhost')],
    ipAddresses: hosts.filter(isAddress),
  };
}

function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

function listenOn(server: import('node:net').Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => resolve());
  });
}

/** The file's mode is the operator's authentication: it must be right from the first moment. */
async function listenPrivately(app: FastifyInstance, path: string): Promise<void> {
  await rm(path, { force: true });
  const before = process.umask(0o177);
  try {
    await app.listen({ path });
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
}
