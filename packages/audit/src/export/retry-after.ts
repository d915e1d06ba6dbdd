/**
 * Reads `Retry-After` as milliseconds from now: seconds or a date.
 *
 * @returns nothing for a value that is neither
 * @see RFC 9110 §10.2.3
 */
export function retryAfterMs(
  value: string | readonly string[] | undefined,
  nowMs: number,
): number | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  // Only a date as HTTP writes it: `Date.parse` takes much else for one.
  return /^[A-Z][a-z]+,/.test(text) && Number.isFinite(dateMs)
    ? Math.max(0, dateMs - nowMs)
    : undefined;
}
