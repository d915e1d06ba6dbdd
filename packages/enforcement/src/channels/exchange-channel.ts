import { postureChangesAt } from '@countersign/model';
import { type Credentials, checkStanding } from '../authenticate/standing.ts';
import { staleness } from '../decide/decide.ts';
import { narrowingFault, narrowingOf, scopesLeft } from '../decide/narrowing.ts';
import { isStateChanging } from '../describe/is-state-changing.ts';
import type { SurfaceRoute } from '../describe/surface-routes.ts';
import type { Exchange } from '../exchange.ts';
import type { PointContext } from '../point-context.ts';
import type { Verdict } from '../verdict.ts';
import type { Channel, ChannelFault } from './channel-registry.ts';
import { REACHES_ALL, type Reach } from './reach-of-change.ts';

/** A permitted request in flight. */
export interface ExchangeChannel extends Channel {
  /** Whether it still stands and is still permitted, if anything changed since it was decided. */
  recheckFully(nowMs: number): ChannelFault | undefined;
  /** From now on it lasts as long as it likes, so time and staleness end it too. */
  startStreaming(): void;
}

/** Registers a permitted request: it ends when what permitted it no longer stands. */
export function openExchangeChannel(verdict: Verdict, context: PointContext): ExchangeChannel {
  const { exchange, identity, request, route, description } = verdict;
  const { connection } = exchange;
  if (identity.kind !== 'identity' || !request || !route || description.kind !== 'description') {
    throw new Error('broken invariant: only a permitted request is in flight');
  }
  const { peer } = connection;
  const known = peer.kind === 'svid' || peer.kind === 'partner' ? peer : undefined;
  const { subject, session, scopes } = identity;
  const asked = request;
  const credentials: Credentials = {
    subject: subject.id,
    isVouched: identity.subjectEntity !== undefined,
    actors: identity.actors,
    ...(identity.tokenId && { tokenId: identity.tokenId }),
    ...(session && { session: session.id }),
    ...(identity.caller && { caller: identity.caller.id }),
    ...(known && { certificate: known.names }),
    ...(identity.device && { device: identity.device.subject.id }),
  };
  const device = identity.device?.subject.id;
  const needs = {
    scopes: description.operation.scopes,
    isStateChanging: isStateChanging({ description, exchange }),
  };
  let isStreaming = false;
  const entityNow = () => (identity.entityNow ? identity.entityNow() : identity.subjectEntity);
  let decidedWith = identity.subjectEntity;
  // What is known of a device gets too old without any news.
  let postureUntilMs = postureEnd(request.timeMs);

  const channel: ExchangeChannel = {
    kind: exchange.isUpgrade ? 'upgrade' : 'exchange',
    connection,
    surface: route.surface.name,
    subject: identity.subject.id,
    ...(session && { session: session.id }),
    ...(identity.caller && { caller: identity.caller.id }),
    ...(known && { certificate: known.thumbprint }),
    startStreaming: () => {
      isStreaming = true;
    },
    recheck(nowMs, reach): ChannelFault | undefined {
      const point = context.point();
      const surface = point.bundle?.surfaces.find(({ name }) => name === route.surface.name);
      if (!surface) return { cause: 'policy-changed', detail: 'the surface is gone' };
      if (surface.mode === 'shadow') return undefined;
      // Of a browser's session it is the key of the token that it has now.
      const { issuerKey } = identity;
      const now = { ...credentials, ...(issuerKey && { issuerKey }) };
      const fault = checkStanding(now, point.facts, nowMs);
      if (fault) return { cause: 'revoked', detail: `${fault.reason}: ${fault.detail}` };
      const narrowing = narrowingOf(session, point.facts, nowMs);
      const narrowed = narrowing && narrowingFault(narrowing, needs);
      if (narrowed) return { cause: 'revoked', detail: `session-narrowed: ${narrowed}` };
      return isStreaming && isReached(reach) ? decideAgain(nowMs) : undefined;
    },
    recheckFully(nowMs) {
      // Whose browser signed out has no time left, and is in no fact yet.
      if (nowMs >= identity.expiresAtMs) return { cause: 'expired', detail: 'its token has ended' };
      const { bundle, facts } = context.point();
      const { decision } = verdict.ruling;
      if (facts.sequence === decision?.factSequence && bundle?.version === decision.policyVersion) {
        return undefined;
      }
      return channel.recheck(nowMs, REACHES_ALL) ?? decideAgain(nowMs);
    },
    sweep(nowMs) {
      if (!isStreaming) return undefined;
      if (nowMs >= identity.expiresAtMs) return { cause: 'expired', detail: 'its token has ended' };
      const stale = staleness(route.surface, context.point(), nowMs);
      if (stale) return { cause: 'expired', detail: stale };
      // Another token came, which may say something else of a customer.
      const isOther = entityNow() !== decidedWith;
      return isOther || nowMs >= postureUntilMs ? decideAgain(nowMs) : undefined;
    },
    close: (cause, detail) => exchange.cut(cause, detail),
  };
  function isReached({ decisions }: Reach): boolean {
    return (
      decisions === 'all' ||
      decisions.has(subject.id) ||
      (device !== undefined && decisions.has(device)) ||
      (session !== undefined && decisions.has(session.id))
    );
  }

  function postureEnd(nowMs: number): number {
    const fact = device === undefined ? undefined : context.point().facts.device(device);
    return (fact && postureChangesAt(fact, nowMs)) ?? Number.POSITIVE_INFINITY;
  }

  function decideAgain(nowMs: number): ChannelFault | undefined {
    const { subjectEntity: _, ...others } = asked;
    decidedWith = entityNow();
    const point = context.point();
    const narrowing = narrowingOf(session, point.facts, nowMs);
    const decision = point.decide({
      ...{ ...others, timeMs: nowMs, scopes: scopesLeft(scopes, narrowing) },
      ...(decidedWith && { subjectEntity: decidedWith }),
    });
    postureUntilMs = postureEnd(nowMs);
    if (decision.effect === 'permit') return undefined;
    const policies = decision.policies.join(' ');
    return { cause: 'policy-changed', detail: `${decision.reason} ${policies}`.trim() };
  }

  context.channels.add(channel);
  return channel;
}

/** A request that shadow let through. */
export interface WatchedChannel extends Channel {
  /** From now on it ends when its surface is enforced; what is short is left to end by itself. */
  startStreaming(): void;
}

/** Registers a request that shadow let through: as a stream it ends when its surface is enforced. */
export function openWatchedChannel(
  exchange: Exchange,
  { surface }: SurfaceRoute,
  context: PointContext,
): WatchedChannel {
  let isStreaming = false;
  const channel: WatchedChannel = {
    kind: exchange.isUpgrade ? 'upgrade' : 'exchange',
    connection: exchange.connection,
    surface: surface.name,
    startStreaming: () => {
      isStreaming = true;
    },
    recheck() {
      if (!isStreaming) return undefined;
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
