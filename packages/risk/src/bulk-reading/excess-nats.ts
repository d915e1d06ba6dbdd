/** What one measure in one window can say at most; enough to reach HIGH alone (8.0 nats). */
export const EXCESS_NATS_MAX = 10;

// Under the usual: Student's t with 8 degrees of freedom, because volumes have heavier tails than
// the bell. Its density at 0 is 0.3867.
const DEGREES = 8;
const LN_T8_AT_ZERO = Math.log(0.3867);
// Under bulk reading: any excess up to 12 deviations, all alike.
const LN_BULK = -Math.log(12);

/**
 * Evidence that an excess of `z` deviations is bulk reading rather than the usual: the logarithm of
 * the likelihood ratio in nats, one-sided, clipped to 0 and {@link EXCESS_NATS_MAX}. Reading little
 * is no evidence of innocence: it must not pay for what another measure shows.
 *
 * @param scanNats the logarithm of how many windows were looked at: the price of picking the worst
 */
export function excessNats(z: number, scanNats: number): number {
  if (z <= 0) return 0;
  const lnUsual = LN_T8_AT_ZERO - ((DEGREES + 1) / 2) * Math.log1p((z * z) / DEGREES);
  return Math.min(EXCESS_NATS_MAX, Math.max(0, LN_BULK - lnUsual - scanNats));
}
