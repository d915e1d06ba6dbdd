import { ASSURANCES, type Fact, POSTURE_SIGNALS } from '@countersign/model';
import type { DeviceSettings } from '../device-settings.ts';
import { mergePosture } from './merge-posture.ts';
import type { KeptPosture } from './observation-rows.ts';

type Posture = Pick<Extract<Fact, { kind: 'device' }>, 'posture' | 'score'>;

/** What points are told: of each signal what counts, and until when. */
export function factPosture(
  kept: KeptPosture,
  { settings, nowMs }: { readonly settings: DeviceSettings['posture']; readonly nowMs: number },
): Posture {
  const merged = mergePosture(kept.signals, { settings, nowMs });
  const posture: Posture['posture'] = {};
  for (const [signal, { evidence }] of merged) if (evidence) posture[signal] = evidence;
  const [score] = kept.scores
    .map((each) => ({ ...each, untilMs: each.observedAtMs + settings.maxAgeSeconds * 1000 }))
    .filter(({ untilMs, observedAtMs }) => untilMs > nowMs && observedAtMs <= nowMs)
    .toSorted(
      (a, b) =>
        ASSURANCES.indexOf(b.assurance) - ASSURANCES.indexOf(a.assurance) ||
        b.observedAtMs - a.observedAtMs ||
        a.value - b.value,
    );
  return { posture, ...(score && { score }) };
}

/**
 * Whether points must hear of it: a value, its source or its assurance is another one, or more than half of the time that points
 * go by is over. What says the same again a minute later would otherwise be a change for every point.
 */
export function isWorthTelling(before: Posture, after: Posture, nowMs: number): boolean {
  return (
    POSTURE_SIGNALS.some((signal) =>
      isOther(before.posture[signal], after.posture[signal], nowMs),
    ) || isOther(before.score, after.score, nowMs)
  );
}

interface Told {
  readonly value: string | number;
  readonly source: string;
  readonly assurance: string;
  readonly observedAtMs: number;
  readonly untilMs: number;
}

function isOther(before: Told | undefined, after: Told | undefined, nowMs: number): boolean {
  if (before === undefined || after === undefined) return before !== after;
  const isSame =
    before.value === after.value &&
    before.source === after.source &&
    before.assurance === after.assurance;
  // An end that is nearer is never kept back: what points hold would count for too long.
  if (!isSame || after.untilMs < before.untilMs) return true;
  const halfMs = (before.untilMs - before.observedAtMs) / 2;
  return after.untilMs > before.untilMs && before.untilMs - nowMs < halfMs;
}
