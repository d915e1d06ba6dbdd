import type { PostureSignal } from '@countersign/model';
import { z } from 'zod';
import type { DeviceObservation } from '../observation.ts';
import { identifiersOf, vendorText } from '../read-value.ts';

const result = z.looseObject({
  name: vendorText,
  hostIdentifier: vendorText,
  unixTime: z.union([z.number().nonnegative(), z.string().regex(/^\d{1,12}$/)]),
  action: z.literal('snapshot'),
  snapshot: z
    .array(z.looseObject({ pass: z.union([z.string(), z.number()]).optional() }))
    .max(1000),
});

/**
 * A line of osquery's snapshot log, of a query whose rows have a column `pass` of 1 or 0. The host is named by its hardware UUID
 * (`--host_identifier=uuid`), which it says itself.
 */
export function readOsqueryResult(
  value: unknown,
  { checks }: { readonly checks: ReadonlyMap<string, PostureSignal> },
): DeviceObservation {
  const { name, hostIdentifier, unixTime, snapshot } = result.parse(value);
  const identifiers = identifiersOf({ uuid: hostIdentifier });
  const signal = checks.get(name);
  const observedAtMs = Number(unixTime) * 1000;
  if (signal === undefined || !Number.isSafeInteger(observedAtMs)) {
    return { identifiers, signals: {} };
  }
  const words = snapshot.map(({ pass }) => String(pass));
  const isKnown = words.length > 0 && words.every((word) => word === '1' || word === '0');
  // A query without rows could mean either, by how it was written.
  const state = isKnown ? (words.includes('0') ? 'false' : 'true') : 'unknown';
  return { identifiers, signals: { [signal]: { value: state, observedAtMs } } };
}
