import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Workload } from '@countersign/sdk';
import { clientTlsOptions } from '@countersign/spiffe';
import { type Dispatcher, Pool } from 'undici';
import type { ForwardTarget } from '../../exchange.ts';
import { LIMITS } from '../../limits.ts';

/** One place that requests are sent to. */
export interface Upstream {
  readonly target: ForwardTarget;
  /** For identified requests. */
  dispatcher(): Dispatcher;
  /** For verbatim requests and upgrades: Node's client keeps every header line as it is. */
  agent(): HttpAgent;
  /** TLS options of a connection of its own, for an upgrade; nothing for a plain resource. */
  tls(): ReturnType<typeof clientTlsOptions> | undefined;
  /** Takes a place; false when {@link LIMITS}.upstreamRequests are taken. */
  enter(): boolean;
  leave(): void;
}

/** All upstreams of a point. */
export interface Upstreams {
  for(target: ForwardTarget): Upstream;
  /** Closes those that nothing routes to any more; what is in flight there goes on. */
  retain(targets: readonly ForwardTarget[]): void;
  close(): Promise<void>;
}

interface Kept extends Upstream {
  retire(): void;
  destroy(): Promise<void>;
}

/** None yet; they are made when first used. */
export function createUpstreams(workload: Workload, now: () => number): Upstreams {
  const upstreams = new Map<string, Kept>();
  return {
    for(target) {
      const key = keyOf(target);
      const known = upstreams.get(key);
      if (known) return known;
      const made = createUpstream(target, workload, now);
      upstreams.set(key, made);
      return made;
    },
    retain(targets) {
      const wanted = new Set(targets.map(keyOf));
      for (const [key, upstream] of upstreams) {
        if (wanted.has(key)) continue;
        upstreams.delete(key);
        upstream.retire();
      }
    },
    async close() {
      await Promise.all([...upstreams.values()].map((upstream) => upstream.destroy()));
      upstreams.clear();
    },
  };
}

function createUpstream(target: ForwardTarget, workload: Workload, now: () => number): Kept {
  let taken = 0;
  let pool: Pool | undefined;
  let agent: HttpAgent | undefined;
  let unsubscribe: (() => void) | undefined;

  const tls = () =>
    target.kind === 'point'
      ? clientTlsOptions({
          svid: workload,
          authorities: workload.authorities,
          expect: target.spiffeId,
          now,
        })
      : undefined;

  return {
    target,
    dispatcher() {
      if (target.kind === 'point') {
        return workload.dispatcherFor(originOf(target), target.spiffeId);
      }
      pool ??= createPool(target);
      return pool;
    },
    agent() {
      if (!agent) {
        agent = createAgent(tls());
        if (target.kind === 'point') {
          // A renewed SVID is for new connections; idle ones with the old SVID go with the old agent.
          unsubscribe ??= workload.onRotate(() => {
            if (agent) letFinish(agent);
            agent = undefined;
          });
        }
      }
      return agent;
    },
    tls,
    enter() {
      if (taken >= LIMITS.upstreamRequests) return false;
      taken++;
      return true;
    },
    leave: () => void taken--,
    retire() {
      unsubscribe?.();
      agent?.destroy();
      void pool?.close();
    },
    async destroy() {
      unsubscribe?.();
      agent?.destroy();
      await pool?.destroy();
    },
  };
}

function createPool(target: Exclude<ForwardTarget, { kind: 'point' }>): Pool {
  return new Pool(originOf(target), {
    connections: LIMITS.upstreamSockets,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: LIMITS.headBytes * 4,
    headersTimeout: LIMITS.upstreamHeadTimeoutMs,
    bodyTimeout: 0, // a stream may be silent; its credential ends it
    connect: {
      timeout: LIMITS.upstreamConnectTimeoutMs,
      ...(target.kind === 'unix' && { socketPath: target.path }),
    },
  });
}

function createAgent(tls: ReturnType<typeof clientTlsOptions> | undefined): HttpAgent {
  const options = {
    keepAlive: true,
    maxSockets: LIMITS.upstreamSockets,
    maxFreeSockets: LIMITS.upstreamSockets,
    scheduling: 'lifo',
  } as const;
  return tls ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
}

/** Ends what is idle, and what is in use as soon as it is not: a request under way is not cut short by a rotation. */
function letFinish(agent: HttpAgent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy();
  }
}

/** Where a dispatcher sends; a unix socket has no origin of its own. */
export function originOf(target: ForwardTarget): string {
  if (target.kind === 'unix') return 'http://localhost';
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `${target.kind === 'point' ? 'https' : 'http'}://${host}:${target.port}`;
}

function keyOf(target: ForwardTarget): string {
  switch (target.kind) {
    case 'unix':
      return `unix ${target.path}`;
    case 'http':
      return `http ${target.host} ${target.port}`;
    case 'point':
      return `point ${target.host} ${target.port} ${target.spiffeId}`;
  }
}
