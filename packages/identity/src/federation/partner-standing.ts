import type { FederationPartner } from '@countersign/model';
import { refreshIntervalSeconds } from '@countersign/spiffe';
import type { PartnerRow } from './partner-rows.ts';

/**
 * How a partner's bundle stands. `trusted` and `stale` are in force; `waiting` (none came yet), `distrusted` (its endpoint was
 * not heard for longer than `trustFor`) and `ended` (the federation itself is over) are not.
 */
export type PartnerStanding = 'trusted' | 'stale' | 'waiting' | 'distrusted' | 'ended';

/** An endpoint that was not heard for so many of its own refresh hints is silent, and no longer only late. */
const INTERVALS_MISSED = 3;

/** How a partner stands at that moment. */
export function standingOf(row: PartnerRow, nowMs: number): PartnerStanding {
  const { partner, held } = row;
  if (nowMs >= partner.expiresMs) return 'ended';
  if (held === undefined) return 'waiting';
  const silentMs = nowMs - held.heardMs;
  if (silentMs >= partner.trustForSeconds * 1000) return 'distrusted';
  return silentMs >= staleAfterMs(row) ? 'stale' : 'trusted';
}

/** After which silence it is called stale. */
export function staleAfterMs({ partner, held }: PartnerRow): number {
  const missed = INTERVALS_MISSED * intervalSeconds({ partner, ...(held && { held }) });
  return Math.min(missed, partner.trustForSeconds) * 1000;
}

/** How long to wait between two fetches; never so long that trust would end of waiting alone. */
export function intervalSeconds({ partner, held }: PartnerRow): number {
  return Math.min(
    refreshIntervalSeconds(held?.bundle),
    Math.ceil(partner.trustForSeconds / (INTERVALS_MISSED + 1)),
  );
}

/** Whether its bundle is believed. */
export function isInForce(standing: PartnerStanding): boolean {
  return standing === 'trusted' || standing === 'stale';
}

/** What the operator sees of a partner. Times are milliseconds since the epoch. */
export interface PartnerStatus
  extends Pick<FederationPartner, 'trustDomain' | 'owner' | 'expiresMs' | 'endpoint'> {
  readonly standing: PartnerStanding;
  /** Of the last good bundle; absent before there was one. */
  readonly held?: {
    readonly sequence: number;
    readonly refreshHintSeconds: number;
    /** How many; none of both means that all was revoked. */
    readonly x509Authorities: number;
    readonly jwtAuthorities: number;
    /** When the endpoint last said that it is so, or the file was applied. */
    readonly heardMs: number;
    /** From then on it is no longer trusted unless the endpoint is heard. */
    readonly trustedUntilMs: number;
  };
  /** When it is fetched next; absent when it is not. */
  readonly nextMs?: number;
  /** Why the last fetch brought nothing. */
  readonly trouble?: PartnerTrouble;
}

/** What goes wrong with an endpoint, until it is well again. */
export interface PartnerTrouble {
  readonly code: string;
  readonly detail: string;
  readonly sinceMs: number;
  readonly attempts: number;
}

/** What to tell of a partner at that moment. */
export function statusOf(
  followed: {
    readonly row: PartnerRow;
    readonly nextMs?: number;
    readonly trouble?: PartnerTrouble;
  },
  nowMs: number,
): PartnerStatus {
  const { row, nextMs, trouble } = followed;
  const { partner, held } = row;
  const { trustDomain, owner, expiresMs, endpoint, trustForSeconds } = partner;
  const standing = standingOf(row, nowMs);
  return {
    ...{ trustDomain, owner, expiresMs, endpoint, standing },
    ...(held && {
      held: {
        sequence: held.bundle.sequence,
        refreshHintSeconds: held.bundle.refreshHintSeconds,
        x509Authorities: held.bundle.x509Authorities.length,
        jwtAuthorities: held.bundle.jwtAuthorities.length,
        heardMs: held.heardMs,
        trustedUntilMs: held.heardMs + trustForSeconds * 1000,
      },
    }),
    ...(standing !== 'ended' && nextMs !== undefined && { nextMs }),
    ...(trouble && { trouble }),
  };
}
