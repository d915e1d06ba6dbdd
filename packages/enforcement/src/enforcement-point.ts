import { isAbsolute, resolve } from 'node:path';
import type { DecisionPoint, ReplicaChange } from '@countersign/decision';
import type { Log } from '@countersign/ledger';
import { compactId, type Event } from '@countersign/model';
import type { PointConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import { decodePem } from '@countersign/spiffe';
import { createContentBudget } from './authenticate/content-budget.ts';
import { createFailureThrottle } from './authenticate/failure-throttle.ts';
import { createProofMemory } from './authenticate/proof-memory.ts';
import { createVerifiedTokens } from './authenticate/verified-tokens.ts';
import { createHandshakeEvents } from './carrier/node-http/handshake-events.ts';
import { createListener, type Listener } from './carrier/node-http/listener.ts';
import { createPeerVerifier } from './carrier/node-http/peer-verifier.ts';
import { createUpstreams } from './carrier/node-http/upstreams.ts';
import { type ChannelRegistry, createChannelRegistry } from './channels/channel-registry.ts';
import { openConnectionChannel } from './channels/connection-channel.ts';
import { reachOfChange } from './channels/reach-of-change.ts';
import { compileSurfaceRoutes, type ListenerRoutes } from './describe/surface-routes.ts';
import { createTransactionMinter, type TransactionSigner } from './enforce/transaction-minter.ts';
import { EnforcementError } from './enforcement-error.ts';
import type { Exchange } from './exchange.ts';
import { handle } from './handle.ts';
import { LIMITS } from './limits.ts';
import type { AlarmName, Counters, PointContext } from './point-context.ts';
import { createRecorder } from './record/recorder.ts';
import type { ServerCertificate } from './server-certificate.ts';
import { createWebApplications, sweepWebApplications } from './web/web-applications.ts';

/** What an enforcement point is made of. It owns none of these and closes none of them. */
export interface EnforcementPointOptions {
  readonly name: string;
  /** `spiffe://<trust domain>/workload/countersign/<name>`. */
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly config: PointConfig;
  /** The authority's knowledge: `openReplica` of `decision` gives one. */
  readonly replica: Knowledge;
  /** The point's own log. */
  readonly log: Log;
  /** Seals what is personal in an event before it is written; when it throws, the event is not, and the request is refused. */
  readonly seal: (event: Event) => Event;
  /** The point's own SVID; its renewals are taken up by listeners and upstream connections. */
  readonly workload: Workload;
  readonly transactionSigner: TransactionSigner;
  /** What listeners show in place of the SVID, by name: one for each whose configuration names a certificate. */
  readonly certificates?: ReadonlyMap<string, ServerCertificate>;
  /** Unix socket paths of surfaces are relative to it. */
  readonly dataFolder: string;
  readonly now: () => number;
  /** Called at most once in ten seconds for each kind of alarm; `count` tells how many it stands for. */
  readonly onAlarm: (alarm: PointAlarm) => void;
}

/** What an enforcement point needs of a replica: the decision point, and word of every change. */
export interface Knowledge {
  readonly point: DecisionPoint;
  onChange(listener: (change: ReplicaChange) => void): () => void;
}

/** Something is wrong with the point itself. */
export interface PointAlarm {
  readonly alarm: AlarmName;
  readonly detail: string;
  /** How often since it was last told, this time included. */
  readonly count: number;
}

/** Where a listener listens. */
export interface ListenerAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: 'required' | 'off';
}

/** What a point has done and holds. */
export interface EnforcementStats extends Readonly<Counters> {
  readonly channels: ReturnType<ChannelRegistry['counts']>;
  readonly verifiedTokens: number;
  readonly alarms: { readonly [K in AlarmName]?: number };
}

/** An enforcement point: gateway, sidecar or wrap, by its configuration. */
export interface EnforcementPoint {
  /**
   * Opens all listeners; none stays open when one fails.
   *
   * @throws {EnforcementError} `ERR_ENFORCEMENT_LISTEN_FAILED`, `ERR_ENFORCEMENT_STATE`
   */
  listen(): Promise<readonly ListenerAddress[]>;
  /**
   * The way of one request that another carrier brings; `connection.listener` must be one of the
   * configuration. Resolves when it is answered or on its way; never rejects.
   */
  handle(exchange: Exchange): Promise<void>;
  /** All that is open now. */
  readonly channels: ChannelRegistry;
  /** Takes nothing new, lets what is in flight end for `graceMs`, then cuts it off. */
  close(options: { readonly graceMs: number }): Promise<void>;
  stats(): EnforcementStats;
}

const ALARM_INTERVAL_MS = 10_000;

/**
 * Makes an enforcement point: it authenticates, describes, decides, enforces and records every
 * request to the surfaces that its listeners route.
 *
 * @throws {EnforcementError} `ERR_ENFORCEMENT_CONFIG_INVALID` when an authority's PEM cannot be read, or a listener's certificate is
 *   not there
 */
export function createEnforcementPoint(options: EnforcementPointOptions): EnforcementPoint {
  const { config, replica, workload, now, trustDomain, spiffeId } = options;
  const counters: Counters = {
    exchanges: 0,
    permitted: 0,
    refused: 0,
    wouldRefuse: 0,
    unrecorded: 0,
    handshakesRefused: 0,
  };
  const channels = createChannelRegistry();
  const alarms = createAlarms(options);
  const recorder = createRecorder({
    log: options.log,
    now,
    seal: options.seal,
    onFailure: (detail) => alarms.raise('log-unavailable', detail),
  });
  const upstreams = createUpstreams(workload, now);
  const routes = createRoutes(options, (targets) => upstreams.retain(targets));

  const context: PointContext = {
    now,
    point: () => replica.point,
    routes,
    recorder,
    contents: createContentBudget({
      bytesMax: LIMITS.contentsBytes,
      bytesOfOneKeyMax: LIMITS.contentsOfOneKeyBytes,
    }),
    channels,
    counters,
    alarm: alarms.raise,
    minter: createTransactionMinter(options.transactionSigner, { trustDomain, spiffeId }),
    authentication: {
      trustDomain,
      now,
      facts: () => replica.point.facts,
      edgeListeners: new Set(config.listeners.filter(isEdge).map((listener) => listener.name)),
      web: createWebApplications(config, { ...options, facts: () => replica.point.facts }),
      accessTokens: createVerifiedTokens(),
      transactionTokens: createVerifiedTokens(),
      proofs: createProofMemory(now()),
      signatures: createProofMemory(now()),
      approvals: createProofMemory(now(), LIMITS.approvalAgeMs),
      throttle: createFailureThrottle(),
    },
  };

  const handshakes = createHandshakeEvents(now, ({ listener, ip, reason, detail }) => {
    recorder.tryAppend({
      kind: 'authentication',
      id: compactId(),
      result: routes(listener).isEnforcing ? 'refused' : 'would-refuse',
      reason,
      detail,
      listener,
      ip,
    });
  });

  const listeners: Listener[] = config.listeners.map((listener) => {
    const clientAuthorities = authoritiesOf(listener);
    const verifier = createPeerVerifier({
      clientAuthorities,
      facts: () => replica.point.facts,
      now,
    });
    return createListener({
      config: listener,
      clientAuthorities,
      workload,
      certificate: certificateOf(listener, options),
      verifier,
      handshakes: {
        ...handshakes,
        refused(refusal) {
          counters.handshakesRefused++;
          handshakes.refused(refusal);
        },
      },
      upstreams,
      onExchange: (exchange) => void handle(exchange, context),
      isEnforcing: () => routes(listener.name).isEnforcing,
      now,
      random: Math.random,
      onConnection: (open) => openConnectionChannel(open, verifier, context),
    });
  });

  // Facts and policy reach what is open, not only what comes.
  const unsubscribe = replica.onChange((change) => {
    channels.recheck(now(), reachOfChange(change));
  });
  let sweeper: NodeJS.Timeout | undefined;
  let state: 'new' | 'listening' | 'closed' = 'new';

  return {
    channels,
    handle: (exchange) => handle(exchange, context),
    async listen() {
      if (state !== 'new') {
        throw new EnforcementError(
          'ERR_ENFORCEMENT_STATE',
          `could not listen: found a point that is ${state}, expected a new one`,
        );
      }
      state = 'listening';
      sweeper = setInterval(() => {
        channels.sweep(now());
        sweepWebApplications(context);
        handshakes.flush(now());
      }, LIMITS.sweepMs);
      sweeper.unref();
      const opened = await Promise.allSettled(listeners.map((listener) => listener.listen()));
      const failed = opened.find((each) => each.status === 'rejected');
      if (failed) {
        await this.close({ graceMs: 0 });
        throw failed.reason;
      }
      return opened.flatMap((each, index) => {
        const listener = config.listeners[index];
        if (each.status !== 'fulfilled' || !listener) return [];
        const { address: host, port } = each.value;
        return [{ name: listener.name, host, port, tls: listener.tls }];
      });
    },
    async close({ graceMs }) {
      if (state === 'closed') return;
      state = 'closed';
      for (const listener of listeners) listener.stop();
      await drained(channels, graceMs);
      clearInterval(sweeper);
      unsubscribe();
      channels.closeWhere(() => true, 'shutdown', 'the enforcement point closes');
      for (const listener of listeners) listener.destroy();
      handshakes.flush();
      await upstreams.close();
    },
    stats: () => ({
      ...counters,
      channels: channels.counts(),
      verifiedTokens:
        context.authentication.accessTokens.size + context.authentication.transactionTokens.size,
      alarms: alarms.counts(),
    }),
  };
}

type ListenerConfig = PointConfig['listeners'][number];

function isEdge({ clientAuthoritiesPem, accessTokens, web }: ListenerConfig): boolean {
  return clientAuthoritiesPem.length > 0 || accessTokens === true || web !== undefined;
}

/** INVARIANT: a listener that is to show a certificate of its own shows nothing else. */
function certificateOf(
  { name, certificate }: ListenerConfig,
  { certificates }: EnforcementPointOptions,
): ServerCertificate | undefined {
  if (!certificate) return undefined;
  const found = certificates?.get(name);
  if (found) return found;
  throw new EnforcementError(
    'ERR_ENFORCEMENT_CONFIG_INVALID',
    `could not open listener '${name}': found no certificate, expected that of ${certificate.certificateFile}`,
  );
}

function authoritiesOf({ name, clientAuthoritiesPem }: ListenerConfig): Uint8Array[] {
  try {
    return clientAuthoritiesPem.flatMap((pem) => decodePem(pem));
  } catch (cause) {
    throw new EnforcementError(
      'ERR_ENFORCEMENT_CONFIG_INVALID',
      `could not read authorities of listener '${name}': found no certificates in PEM, expected one or more`,
      { cause },
    );
  }
}

/** Routes are compiled once per bundle, and asked for on every request. */
function createRoutes(
  { config, replica, dataFolder }: EnforcementPointOptions,
  onTargets: (targets: ListenerRoutes['targets']) => void,
): (listener: string) => ListenerRoutes {
  const resolveUnixPath = (path: string) => (isAbsolute(path) ? path : resolve(dataFolder, path));
  let bundle = replica.point.bundle;
  let compiled = compileSurfaceRoutes(config, bundle, resolveUnixPath);
  return (listener) => {
    if (replica.point.bundle !== bundle) {
      bundle = replica.point.bundle;
      compiled = compileSurfaceRoutes(config, bundle, resolveUnixPath);
      onTargets([...compiled.values()].flatMap(({ targets }) => targets));
    }
    const routes = compiled.get(listener);
    if (!routes) throw new Error(`broken invariant: no listener '${listener}'`);
    return routes;
  };
}

function createAlarms({ now, onAlarm }: EnforcementPointOptions) {
  const raised = new Map<AlarmName, { total: number; untold: number; toldMs: number }>();
  return {
    raise(alarm: AlarmName, detail: string): void {
      const nowMs = now();
      const known = raised.get(alarm) ?? { total: 0, untold: 0, toldMs: Number.NEGATIVE_INFINITY };
      raised.set(alarm, known);
      known.total++;
      known.untold++;
      if (nowMs - known.toldMs < ALARM_INTERVAL_MS) return;
      onAlarm({ alarm, detail, count: known.untold });
      known.untold = 0;
      known.toldMs = nowMs;
    },
    counts: () => Object.fromEntries([...raised].map(([alarm, { total }]) => [alarm, total])),
  };
}

/** Resolves when nothing is in flight any more, or when the time is up. */
async function drained(channels: ChannelRegistry, graceMs: number): Promise<void> {
  const inFlight = () => {
    const { exchange, upgrade } = channels.counts();
    return exchange + upgrade;
  };
  if (graceMs <= 0 || inFlight() === 0) return;
  await new Promise<void>((done) => {
    const timer = setTimeout(end, graceMs);
    const poll = setInterval(() => {
      if (inFlight() === 0) end();
    }, 20);
    function end(): void {
      clearTimeout(timer);
      clearInterval(poll);
      done();
    }
  });
}
