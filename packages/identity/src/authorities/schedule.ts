import type { AuthoritySlot } from './slot.ts';

/** What is to be done with the authorities of one kind, and when. */
export type RotationStep =
  | { readonly step: 'prepare'; readonly atMs: number }
  | { readonly step: 'activate'; readonly id: string; readonly atMs: number }
  | { readonly step: 'prune'; readonly id: string; readonly atMs: number };

/** SPIRE's: prepared at half of the life, but no more than 30 days before its end. */
const PREPARE = { part: 1 / 2, msMax: 30 * 86_400_000 } as const;
/** SPIRE's: activated when a sixth is left, but no more than 7 days before. */
const ACTIVATE = { part: 1 / 6, msMax: 7 * 86_400_000 } as const;
/** One that was prepared late waits for so long, so that everybody has heard of it. */
const SPREAD = { part: 1 / 12, msMax: 86_400_000 } as const;
/** Clocks of two machines differ; what ended by ours may be good for another. */
const SKEW_MS = 60_000;

/**
 * The next step in the life of the authorities of one kind: what is due has a time that is over. Pure.
 *
 * @param slots at most one `prepared`, at most one `active`
 * @param options `lifetimeMs` how long one issues; `issuedUntilMs` when the last of what an authority issued ends
 */
export function nextStep(
  slots: readonly AuthoritySlot[],
  options: {
    readonly nowMs: number;
    readonly lifetimeMs: number;
    readonly issuedUntilMs: (slot: AuthoritySlot) => number;
  },
): RotationStep {
  const steps = [turnStep(slots, options), ...slots.flatMap((slot) => pruneStep(slot, options))];
  return steps.reduce((first, step) => (step.atMs < first.atMs ? step : first));
}

/** When an authority is to be replaced at the latest: its certificate's end, or sooner where lives became shorter. */
export function endOf(slot: AuthoritySlot, lifetimeMs: number): number {
  return Math.min(slot.notAfterMs, (slot.activatedMs ?? slot.preparedMs) + lifetimeMs);
}

/** From when on it is late: half of the time is over in which the next one should have been activated. */
export function overdueAt(slot: AuthoritySlot, lifetimeMs: number): number {
  return endOf(slot, lifetimeMs) - leadOf(slot, lifetimeMs, ACTIVATE) / 2;
}

function turnStep(
  slots: readonly AuthoritySlot[],
  { nowMs, lifetimeMs }: { readonly nowMs: number; readonly lifetimeMs: number },
): RotationStep {
  const active = slots.find(({ state }) => state === 'active');
  const prepared = slots.find(({ state }) => state === 'prepared');
  const isOver = active === undefined || active.notAfterMs <= nowMs;
  if (prepared === undefined || prepared.notAfterMs <= nowMs) {
    const atMs = isOver ? nowMs : endOf(active, lifetimeMs) - leadOf(active, lifetimeMs, PREPARE);
    return { step: 'prepare', atMs };
  }
  const { id } = prepared;
  if (isOver) return { step: 'activate', id, atMs: nowMs };
  const spreadMs = Math.min(
    prepared.preparedMs + leadOf(prepared, lifetimeMs, SPREAD),
    // However late: one that has ended issues nothing.
    active.notAfterMs,
  );
  const dueMs = endOf(active, lifetimeMs) - leadOf(active, lifetimeMs, ACTIVATE);
  return { step: 'activate', id, atMs: Math.max(dueMs, spreadMs) };
}

function pruneStep(
  slot: AuthoritySlot,
  { issuedUntilMs }: { readonly issuedUntilMs: (slot: AuthoritySlot) => number },
): RotationStep[] {
  const { id, state, notAfterMs, retiredMs = 0, preparedMs } = slot;
  switch (state) {
    case 'active':
      return [];
    case 'prepared':
      return [{ step: 'prune', id, atMs: notAfterMs }];
    default: {
      // What was being issued when it was retired is remembered a moment later.
      const untilMs = Math.max(issuedUntilMs(slot), retiredMs, preparedMs) + SKEW_MS;
      return [{ step: 'prune', id, atMs: Math.min(untilMs, notAfterMs + SKEW_MS) }];
    }
  }
}

function leadOf(
  slot: AuthoritySlot,
  lifetimeMs: number,
  { part, msMax }: { readonly part: number; readonly msMax: number },
): number {
  return Math.min(lifeOf(slot, lifetimeMs) * part, msMax);
}

function lifeOf({ preparedMs, notAfterMs }: AuthoritySlot, lifetimeMs: number): number {
  return Math.min(notAfterMs - preparedMs, lifetimeMs);
}
