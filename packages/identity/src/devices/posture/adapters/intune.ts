import { z } from 'zod';
import type { DeviceObservation } from '../observation.ts';
import { byWord, identifiersOf, timeOf, triState, vendorText } from '../read-value.ts';

const managedDevice = z.looseObject({
  id: vendorText.nullish(),
  azureADDeviceId: vendorText.nullish(),
  serialNumber: vendorText.nullish(),
  complianceState: vendorText.nullish(),
  isEncrypted: z.boolean().nullish(),
  jailBroken: vendorText.nullish(),
  managementState: vendorText.nullish(),
  lastSyncDateTime: vendorText,
});

/**
 * `inGracePeriod` breaks a rule and is only not yet barred for it, so it is no `true`. `conflict`, `error`, `configManager` and
 * `unknown` say nothing of the device.
 */
const COMPLIANCE = { compliant: true, noncompliant: false, inGracePeriod: false } as const;

/** Whoever is being retired or wiped is managed no more. */
const MANAGEMENT = {
  managed: true,
  retirePending: false,
  retireFailed: false,
  retireIssued: false,
  retireCanceled: true,
  wipePending: false,
  wipeFailed: false,
  wipeIssued: false,
  wipeCanceled: true,
  deletePending: false,
  unhealthy: false,
} as const;

/** A `managedDevice` as Microsoft Graph gives it. All of it is as old as the device's last contact. */
export function readIntuneDevice(value: unknown): DeviceObservation {
  const found = managedDevice.parse(value);
  const observedAtMs = timeOf(found.lastSyncDateTime);
  const identifiers = identifiersOf({
    intune: found.id,
    entra: found.azureADDeviceId,
    serial: found.serialNumber,
  });
  if (observedAtMs === undefined) return { identifiers, signals: {} };
  const at = (state: ReturnType<typeof triState>) => ({ value: state, observedAtMs });
  return {
    identifiers,
    signals: {
      compliant: at(byWord(found.complianceState, COMPLIANCE)),
      diskEncrypted: at(triState(found.isEncrypted)),
      // Text in the API: `True`, `False`, `Unknown`.
      osIntact: at(byWord(found.jailBroken, { False: true, True: false })),
      mdmEnrolled: at(byWord(found.managementState, MANAGEMENT)),
    },
  };
}
