import type { PostureSignal } from '@countersign/model';
import { z } from 'zod';
import type { DeviceObservation, SignalObservation } from '../observation.ts';
import { byWord, identifiersOf, timeOf, vendorText } from '../read-value.ts';

const items = z
  .array(
    z.looseObject({
      signal_id: vendorText.nullish(),
      signal_name: vendorText.nullish(),
      meets_criteria: vendorText.nullish(),
    }),
  )
  .max(1000)
  .nullish();

const assessment = z.looseObject({
  aid: vendorText,
  system_serial_number: vendorText.nullish(),
  modified_time: vendorText,
  assessment: z.looseObject({ overall: z.number().min(0).max(100).nullish() }).nullish(),
  assessment_items: z.looseObject({ os_signals: items, sensor_signals: items }).nullish(),
});

/**
 * A host of CrowdStrike's Zero Trust Assessment (`GET /zero-trust-assessment/entities/assessments/v1`). That it was assessed says
 * that its sensor ran then. Which of its signals are ours says the configuration, by id or name.
 */
export function readZeroTrustAssessment(
  value: unknown,
  { checks }: { readonly checks: ReadonlyMap<string, PostureSignal> },
): DeviceObservation {
  const found = assessment.parse(value);
  const identifiers = identifiersOf({ falcon: found.aid, serial: found.system_serial_number });
  const observedAtMs = timeOf(found.modified_time);
  if (observedAtMs === undefined) return { identifiers, signals: {} };
  const signals: Partial<Record<PostureSignal, SignalObservation>> = {
    edrRunning: { value: 'true', observedAtMs },
  };
  const { os_signals: os, sensor_signals: sensor } = found.assessment_items ?? {};
  for (const { signal_id: id, signal_name: name, meets_criteria: meets } of [
    ...(os ?? []),
    ...(sensor ?? []),
  ]) {
    const signal = checks.get(id ?? '') ?? checks.get(name ?? '');
    if (signal === undefined) continue;
    const said = byWord(meets, { yes: true, no: false });
    signals[signal] = { value: worse(signals[signal]?.value, said), observedAtMs };
  }
  const overall = found.assessment?.overall;
  return {
    identifiers,
    signals,
    ...(overall != null && { score: { value: Math.floor(overall), observedAtMs } }),
  };
}

function worse(
  before: SignalObservation['value'] | undefined,
  value: SignalObservation['value'],
): SignalObservation['value'] {
  if (before === undefined) return value;
  const both = [before, value];
  return both.includes('false') ? 'false' : both.includes('unknown') ? 'unknown' : 'true';
}
