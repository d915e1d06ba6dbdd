import {
  ASSURANCES,
  type Assurance,
  POSTURE_SIGNALS,
  type PostureSignal,
  type SignalEvidence,
  type TriState,
} from '@countersign/model';
import type { DeviceSettings } from '../device-settings.ts';

/** The last word of one source on one signal. */
export interface KeptObservation {
  readonly signal: PostureSignal;
  readonly source: string;
  readonly value: TriState;
  readonly observedAtMs: number;
  readonly assurance: Assurance;
}

/** What counts of a signal, and what does not, for whoever asks why. */
export interface MergedSignal {
  /** Absent: unknown. */
  readonly evidence?: SignalEvidence;
  /** Whether another source that still counts says the contrary. */
  readonly isDisputed: boolean;
}

/**
 * What of all that sources said counts now: of what is young enough and vouched for well enough, the best vouched for; of
 * several such the newest; and of several at once the one that says `false`. The order in which it came does not matter.
 */
export function mergePosture(
  observations: readonly KeptObservation[],
  { settings, nowMs }: { readonly settings: DeviceSettings['posture']; readonly nowMs: number },
): ReadonlyMap<PostureSignal, MergedSignal> {
  const merged = new Map<PostureSignal, MergedSignal>();
  for (const signal of POSTURE_SIGNALS) {
    const counting = observations
      .filter((each) => each.signal === signal)
      .flatMap((each) => evidenceOf(each, { settings, nowMs }) ?? [])
      .toSorted(strongerFirst);
    const [evidence] = counting;
    if (evidence === undefined) continue;
    const isDisputed = counting.some(({ value }) => value !== evidence.value);
    merged.set(signal, { evidence, isDisputed });
  }
  return merged;
}

/** An observation as evidence, when it counts. */
function evidenceOf(
  { signal, source, value, observedAtMs, assurance: kept }: KeptObservation,
  { settings, nowMs }: { readonly settings: DeviceSettings['posture']; readonly nowMs: number },
): SignalEvidence | undefined {
  const assurance = assuranceNow(source, { settings, kept });
  if (value === 'unknown' || assurance === undefined) return undefined;
  const { maxAgeSeconds = settings.maxAgeSeconds, assurance: least = 'reported' } =
    settings.signals[signal] ?? {};
  if (ASSURANCES.indexOf(assurance) < ASSURANCES.indexOf(least)) return undefined;
  const untilMs = observedAtMs + maxAgeSeconds * 1000;
  // What is from the future has no age; a source whose clock is wrong would otherwise never get old.
  if (untilMs <= nowMs || observedAtMs > nowMs) return undefined;
  return { value, source, observedAtMs, untilMs, assurance };
}

/**
 * How well a source can vouch now. One that the bank took out, or trusts less than it did, is no better for what it said before;
 * transmitters of shared signals stand elsewhere in the configuration.
 */
function assuranceNow(
  source: string,
  { settings, kept }: { readonly settings: DeviceSettings['posture']; readonly kept: Assurance },
): Assurance | undefined {
  if (source.startsWith('signals:')) return kept;
  const configured = settings.sources.find(({ name }) => name === source)?.assurance;
  if (configured === undefined) return undefined;
  return ASSURANCES.indexOf(configured) < ASSURANCES.indexOf(kept) ? configured : kept;
}

function strongerFirst(a: SignalEvidence, b: SignalEvidence): number {
  const byAssurance = ASSURANCES.indexOf(b.assurance) - ASSURANCES.indexOf(a.assurance);
  if (byAssurance !== 0) return byAssurance;
  if (a.observedAtMs !== b.observedAtMs) return b.observedAtMs - a.observedAtMs;
  if (a.value !== b.value) return a.value === 'false' ? -1 : 1;
  return a.source < b.source ? -1 : 1;
}
