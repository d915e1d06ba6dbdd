import type { CibaTables } from './ciba-tables.ts';

type Row = CibaTables['approval_request'];

/** So many of one client wait at one person. */
const OPEN_OF_CLIENT_AND_PERSON_MAX = 3;
/** So many of all clients are shown to one person. */
const OPEN_OF_PERSON_MAX = 5;
/** So many of all clients may be denied or unanswered within an hour, before no more are shown. */
const UNANSWERED_OF_PERSON_MAX = 10;
const HOUR_MS = 3_600_000;
/** After one that was denied or not answered; each further one doubles it. */
const WAIT_MS = { first: 30_000, max: HOUR_MS } as const;
/** From so many in a row on, somebody is told. */
const ALARM_FROM = 3;
/** For how long a request slows the next. */
export const REMEMBERED_MS = 24 * HOUR_MS;

/** Whether a client may ask a person now. */
export type ApprovalPace =
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly unanswered: number }
  | {
      readonly kind: 'go';
      /** Whether the person is shown it. */
      readonly isShown: boolean;
      /** Requests of this client in a row that the person did not approve. */
      readonly unanswered: number;
      readonly isAlarming: boolean;
    };

/**
 * How often a person may be asked: people who are asked again and again agree in the end to make it stop. Pure.
 *
 * Whoever asks is told of their own requests only: what other clients do to a person is none of their business, and would tell that
 * there is such a person. So beyond the bounds over all clients, a request is taken and not shown.
 *
 * @param rows all requests to one person within {@link REMEMBERED_MS}, the newest first
 */
export function approvalPace(
  rows: readonly Pick<Row, 'client_id' | 'state' | 'created_ms' | 'expires_ms' | 'ended_ms'>[],
  { clientId, nowMs }: { readonly clientId: string; readonly nowMs: number },
): ApprovalPace {
  const isOpen = (row: (typeof rows)[number]): boolean =>
    row.ended_ms === null && row.expires_ms > nowMs;
  const endOf = (row: (typeof rows)[number]): number => row.ended_ms ?? row.expires_ms;
  const mine = rows.filter((row) => row.client_id === clientId);
  const approvedAt = mine.findIndex(({ state }) => state === 'approved');
  const inARow = (approvedAt < 0 ? mine : mine.slice(0, approvedAt)).filter((row) => !isOpen(row));
  const unanswered = inARow.length;
  const open = mine.filter(isOpen);
  if (open.length >= OPEN_OF_CLIENT_AND_PERSON_MAX) {
    const first = Math.min(...open.map(({ expires_ms: expiresMs }) => expiresMs));
    return { kind: 'wait', retryAfterMs: first - nowMs, unanswered };
  }
  if (unanswered > 0) {
    const waitMs = Math.min(WAIT_MS.first * 2 ** Math.min(unanswered - 1, 20), WAIT_MS.max);
    const leftMs = Math.max(...inARow.map(endOf)) + waitMs - nowMs;
    if (leftMs > 0) return { kind: 'wait', retryAfterMs: leftMs, unanswered };
  }
  const shown = rows.filter(({ state }) => state !== 'withheld');
  const lately = shown.filter(
    (row) => row.state !== 'approved' && !isOpen(row) && endOf(row) > nowMs - HOUR_MS,
  ).length;
  const isShown =
    shown.filter(isOpen).length < OPEN_OF_PERSON_MAX && lately < UNANSWERED_OF_PERSON_MAX;
  return { kind: 'go', isShown, unanswered, isAlarming: unanswered >= ALARM_FROM || !isShown };
}
