import type { PostureSignal } from '@countersign/model';
import { z } from 'zod';
import type { DeviceObservation, SignalObservation } from '../observation.ts';
import { byWord, identifiersOf, timeOf, triState, vendorText } from '../read-value.ts';

const host = z.looseObject({
  uuid: vendorText.nullish(),
  hardware_serial: vendorText.nullish(),
  detail_updated_at: vendorText.nullish(),
  policy_updated_at: vendorText.nullish(),
  disk_encryption_enabled: z.boolean().nullish(),
  mdm: z.looseObject({ enrollment_status: vendorText.nullish() }).nullish(),
  policies: z
    .array(z.looseObject({ name: vendorText, response: vendorText.nullish() }))
    .max(2000)
    .nullish(),
});

/** `On (automatic)`, `On (manual)`, `On (personal)`; `Pending` is not yet. */
const ENROLMENT = {
  'On (automatic)': true,
  'On (manual)': true,
  'On (personal)': true,
  'On (company-owned)': true,
  Pending: false,
  Off: false,
} as const;

/**
 * A host as Fleet's REST API gives it (`GET /api/v1/fleet/hosts/:id`). Its policies are queries of the bank's own, so the
 * configuration says which of them is which signal.
 */
export function readFleetHost(
  value: unknown,
  { checks }: { readonly checks: ReadonlyMap<string, PostureSignal> },
): DeviceObservation {
  const found = host.parse(value);
  const detailsAtMs = timeOf(found.detail_updated_at);
  const policiesAtMs = timeOf(found.policy_updated_at);
  const signals: Partial<Record<PostureSignal, SignalObservation>> = {};
  if (detailsAtMs !== undefined) {
    const observedAtMs = detailsAtMs;
    signals.diskEncrypted = { value: triState(found.disk_encryption_enabled), observedAtMs };
    if (found.mdm) {
      signals.mdmEnrolled = { value: byWord(found.mdm.enrollment_status, ENROLMENT), observedAtMs };
    }
  }
  for (const { name, response } of found.policies ?? []) {
    const signal = checks.get(name);
    if (signal === undefined || policiesAtMs === undefined) continue;
    const value = byWord(response, { pass: true, fail: false });
    const before = signals[signal]?.value;
    // Of what is said of one signal at a time, and of what is no newer, it is as bad as the worst.
    const isWorse = before === 'false' || (before === 'unknown' && value === 'true');
    const isNoNewer = (signals[signal]?.observedAtMs ?? 0) >= policiesAtMs;
    if (before !== undefined && isNoNewer && (isWorse || before === value)) continue;
    signals[signal] = { value, observedAtMs: policiesAtMs };
  }
  return {
    identifiers: identifiersOf({ uuid: found.uuid, serial: found.hardware_serial }),
    signals,
  };
}
