import { POSTURE_SIGNALS, postureAt } from '@countersign/model';
import type { Device, DeviceDetails, DeviceReport, DeviceState, ReportedSignal } from './device.ts';
import type { DeviceFact } from './device-register.ts';
import type { DeviceSettings } from './device-settings.ts';
import { type KeptObservation, mergePosture } from './posture/merge-posture.ts';

/** A device as it is now: what points know of it, by this clock. */
export function reportOf(
  device: Device,
  {
    fact,
    isRevoked,
    nowMs,
  }: {
    readonly fact: DeviceFact | undefined;
    readonly isRevoked: boolean;
    readonly nowMs: number;
  },
): DeviceReport {
  const values = postureAt(fact?.posture ?? {}, nowMs);
  const posture = Object.fromEntries(
    POSTURE_SIGNALS.map((signal): [string, ReportedSignal] => {
      const { value: _value, ...evidence } = fact?.posture[signal] ?? {};
      return [signal, { ...evidence, value: values[signal] }];
    }),
  ) as DeviceReport['posture'];
  const { score } = fact ?? {};
  return {
    ...device,
    state: stateOf(device, { isRevoked, nowMs }),
    posture,
    ...(score && nowMs < score.untilMs && { score: score.value }),
  };
}

/** Beside it what each source said last, and which signals are disputed. */
export function withObservations(
  report: DeviceReport,
  observations: readonly KeptObservation[],
  merging: { readonly settings: DeviceSettings['posture']; readonly nowMs: number },
): DeviceDetails {
  const merged = mergePosture(observations, merging);
  const posture = Object.fromEntries(
    POSTURE_SIGNALS.map((signal) => [
      signal,
      { ...report.posture[signal], isDisputed: merged.get(signal)?.isDisputed ?? false },
    ]),
  ) as DeviceDetails['posture'];
  return { ...report, posture, observations };
}

function stateOf(
  { keyThumbprint, certificateEndsAtMs = 0 }: Device,
  { isRevoked, nowMs }: { readonly isRevoked: boolean; readonly nowMs: number },
): DeviceState {
  if (isRevoked) return 'revoked';
  if (keyThumbprint === undefined) return 'awaited';
  return nowMs < certificateEndsAtMs ? 'enrolled' : 'absent';
}
