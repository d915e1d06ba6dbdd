import { ASSURANCES, DEVICE_IDENTIFIERS, POSTURE_SIGNALS } from '@countersign/model';
import { z } from 'zod';
import type { DeviceObservation } from '../observation.ts';
import { identifiersOf, timeOf, triState, vendorText } from '../read-value.ts';

const value = z.union([z.boolean(), z.literal('unknown')]);
const signal = z.union([
  value,
  z.strictObject({
    value,
    observedAt: z.iso.datetime({ offset: true }).optional(),
    assurance: z.enum(ASSURANCES).optional(),
  }),
]);

/** Closed: what is written for us and misspelt should be told, not passed over. */
const device = z.strictObject({
  device: vendorText.optional(),
  identifiers: z.partialRecord(z.enum(DEVICE_IDENTIFIERS), vendorText).default({}),
  observedAt: z.iso.datetime({ offset: true }),
  signals: z.partialRecord(z.enum(POSTURE_SIGNALS), signal).default({}),
  score: z.int().min(0).max(100).optional(),
});

/** Our own shape, for sources that we do not know: a script that asks one of them writes this. */
export function readPlainDevice(written: unknown): DeviceObservation {
  const found = device.parse(written);
  const atMs = timeOf(found.observedAt) ?? 0;
  return {
    ...(found.device !== undefined && { name: found.device }),
    identifiers: identifiersOf(found.identifiers),
    signals: Object.fromEntries(
      Object.entries(found.signals).map(([name, said]) => {
        const whole = typeof said === 'object' ? said : { value: said };
        return [
          name,
          {
            value: triState(whole.value),
            observedAtMs: timeOf(whole.observedAt) ?? atMs,
            ...(whole.assurance !== undefined && { assurance: whole.assurance }),
          },
        ];
      }),
    ),
    ...(found.score !== undefined && { score: { value: found.score, observedAtMs: atMs } }),
  };
}
