import { checkStanding } from '../authenticate/standing.ts';
import { staleness } from '../decide/decide.ts';
import type { SurfaceRoute } from '../describe/surface-routes.ts';
import type { Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import type { Verdict } from '../verdict.ts';
import type { Channel, ChannelFault } from './channel-registry.ts';

/** A permitted request in flight. */
export interface ExchangeChannel extends Channel {
  /** From now on it lasts as long as it likes, so time and staleness end it too. */
  startStreaming(): void;
}

/** Registers a permitted request: it ends when what permitted it no longer stands. */
export function openExchangeChannel(verdict: Verdict, context: PointContext): ExchangeChannel {
  const { exchange, identity, request, route } = verdict;
  const { connection } = exchange;
  if (identity.kind !== 'identity' || !request || !route) {
    throw new Error('broken invariant: only a permitted request is in flight');
  }
  const { peer } = connection;
  const certificate = peer.kind === 'svid' || peer.kind === 'partner' ? peer.thumbprint : undefined;
  let isStreaming = false;
  // Facts are asked again only when they, or the policy, have moved since the decision was made.
  let judgedBy = knowledgeOf(verdict);

  const channel: ExchangeChannel = {
    kind: exchange.isUpgrade ? 'upgrade' : 'exchange',
    connection,
    surface: route.surface.name,
    subject: identity.subject.id,
    ...(identity.session && { session: identity.session.id }),
    ...(identity.caller && { caller: identity.caller.id }),
    ...(certificate && { certificate }),
    startStreaming: () => {
      isStreaming = true;
    },
    recheck(nowMs): ChannelFault | undefined {
      const known = knowledge(context);
      if (known === judgedBy) return undefined;
      judgedBy = known;
      const point = context.point();
      const surface = point.bundle?.surfaces.find(({ name }) => name === route.surface.name);
      if (!surface) return { cause: 'policy-changed', detail: 'the surface is gone' };
      if (surface.mode === 'shadow') return undefined;
      const fault = checkStanding(
        {
          subject: identity.subject.id,
          actors: identity.actors,
          ...(identity.tokenId && { tokenId: identity.tokenId }),
          ...(identity.session && { session: identity.session.id }),
          ...(identity.caller && { caller: identity.caller.id }),
          ...(certificate && { certificate }),
        },
        point.facts,
        nowMs,
      );
      if (fault) return { cause: 'revoked', detail: `${fault.reason}: ${fault.detail}` };
      const decision = point.decide({ ...request, timeMs: nowMs });
      if (decision.effect === 'permit') return undefined;
      const policies = decision.policies.join(' ');
      return { cause: 'policy-changed', detail: `${decision.reason} ${policies}`.trim() };
    },
    sweep(nowMs) {
      if (!isStreaming) return undefined;
      if (nowMs >= identity.expiresAtMs) return { cause: 'expired', detail: 'its token has ended' };
      const stale = staleness(route.surface, context.point(), nowMs);
      return stale ? { cause: 'expired', detail: stale } : undefined;
    },
    close: (cause, detail) => exchange.cut(cause, detail),
  };
  context.channels.add(channel);
  return channel;
}

/** Registers a request that shadow let through: it ends only when its surface is enforced. */
export function openWatchedChannel(
  exchange: Exchange,
  { surface }: SurfaceRoute,
  context: PointContext,
): Channel {
  const channel: Channel = {
    kind: exchange.isUpgrade ? 'upgrade' : 'exchange',
    connection: exchange.connection,
    surface: surface.name,
    recheck() {
      const now = context.point().bundle?.surfaces.find(({ name }) => name === surface.name);
      return now?.mode === 'enforce'
        ? { cause: 'policy-changed', detail: 'the surface is enforced now' }
        : undefined;
    },
    sweep: () => undefined,
    close: (cause, detail) => exchange.cut(cause, detail),
  };
  context.channels.add(channel);
  return channel;
}

/** What a decision rests on: one policy version and one state of the facts. */
function knowledge(context: PointContext): string {
  const { bundle, facts } = context.point();
  return `${facts.sequence} ${bundle?.version ?? ''}`;
}

function knowledgeOf({ ruling }: Verdict): string {
  return `${ruling.decision?.factSequence} ${ruling.decision?.policyVersion}`;
}
