import type { FactView } from '@countersign/decision';
import type { PointConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import { LIMITS } from '../limits.ts';
import type { PointContext } from '../point-context.ts';
import { createWebApplication, type WebApplication } from './web-application.ts';

/** The web applications of a point, by listener. */
export function createWebApplications(
  { listeners }: PointConfig,
  options: {
    readonly name: string;
    readonly trustDomain: string;
    readonly workload: Pick<Workload, 'dispatcherFor'>;
    readonly facts: () => FactView;
    readonly now: () => number;
  },
): ReadonlyMap<string, WebApplication> {
  const { name: point, trustDomain, workload, facts, now } = options;
  const authorityId = `spiffe://${trustDomain}/workload/countersign/authority`;
  return new Map(
    listeners.flatMap(({ name, web: config }) =>
      config
        ? [[name, createWebApplication({ config, point, authorityId, workload, facts, now })]]
        : [],
    ),
  );
}

const sweptMs = new WeakMap<PointContext, number>();

/** Looks at the sessions of browsers, seldom enough: who is idle, and whose streams go on. */
export function sweepWebApplications(context: PointContext): void {
  const { web } = context.authentication;
  const nowMs = context.now();
  if (web.size === 0 || nowMs - (sweptMs.get(context) ?? 0) < LIMITS.webSweepMs) return;
  sweptMs.set(context, nowMs);
  const open = new Map<string, Set<string>>();
  for (const { kind, session, connection } of context.channels.list()) {
    if (kind === 'connection' || session === undefined) continue;
    const known = open.get(connection.listener) ?? new Set();
    open.set(connection.listener, known.add(session));
  }
  for (const [listener, each] of web) each.sweep(open.get(listener) ?? new Set());
}
