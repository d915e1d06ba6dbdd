import { z } from 'zod';
import type { DeviceObservation } from '../observation.ts';
import { byWord, identifiersOf, timeOf, triState, vendorText } from '../read-value.ts';

const computer = z.looseObject({
  id: z.union([vendorText, z.number()]).nullish(),
  udid: vendorText.nullish(),
  general: z.looseObject({
    reportDate: vendorText.nullish(),
    remoteManagement: z.looseObject({ managed: z.boolean().nullish() }).nullish(),
  }),
  hardware: z.looseObject({ serialNumber: vendorText.nullish() }).nullish(),
  diskEncryption: z
    .looseObject({
      bootPartitionEncryptionDetails: z
        .looseObject({ partitionFileVault2State: vendorText.nullish() })
        .nullish(),
    })
    .nullish(),
  operatingSystem: z.looseObject({ fileVault2Status: vendorText.nullish() }).nullish(),
  security: z
    .looseObject({
      sipStatus: vendorText.nullish(),
      firewallEnabled: z.boolean().nullish(),
      secureBootLevel: vendorText.nullish(),
    })
    .nullish(),
});

/** While it is being encrypted, or decrypted, part of it is in the clear. */
const PARTITION = {
  ENCRYPTED: true,
  VALID: true,
  UNENCRYPTED: false,
  ENCRYPTING: false,
  DECRYPTING: false,
  DECRYPTED: false,
} as const;
const FILE_VAULT = {
  ALL_ENCRYPTED: true,
  BOOT_ENCRYPTED: true,
  SOME_ENCRYPTED: false,
  NOT_ENCRYPTED: false,
} as const;
const SECURE_BOOT = {
  FULL_SECURITY: true,
  MEDIUM_SECURITY: true,
  NO_SECURITY: false,
} as const;

/** A computer of Jamf Pro's inventory (`GET /api/v1/computers-inventory`), as old as its last report. */
export function readJamfComputer(value: unknown): DeviceObservation {
  const found = computer.parse(value);
  const identifiers = identifiersOf({
    jamf: found.id,
    uuid: found.udid,
    serial: found.hardware?.serialNumber,
  });
  const observedAtMs = timeOf(found.general.reportDate);
  if (observedAtMs === undefined) return { identifiers, signals: {} };
  const at = (state: ReturnType<typeof triState>) => ({ value: state, observedAtMs });
  const { diskEncryption, operatingSystem, security } = found;
  const partition = diskEncryption?.bootPartitionEncryptionDetails?.partitionFileVault2State;
  // Sections come only when they were asked for: what is not there says nothing, not even that it is unknown.
  return {
    identifiers,
    signals: {
      ...(found.general.remoteManagement && {
        mdmEnrolled: at(triState(found.general.remoteManagement.managed)),
      }),
      ...(partition != null
        ? { diskEncrypted: at(byWord(partition, PARTITION)) }
        : operatingSystem && {
            diskEncrypted: at(byWord(operatingSystem.fileVault2Status, FILE_VAULT)),
          }),
      ...(security && {
        firewallOn: at(triState(security.firewallEnabled)),
        secureBootOn: at(byWord(security.secureBootLevel, SECURE_BOOT)),
        // System Integrity Protection: without it the system may be altered under whoever asks it.
        osIntact: at(byWord(security.sipStatus, { ENABLED: true, DISABLED: false })),
      }),
    },
  };
}
