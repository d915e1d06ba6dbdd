/**
 * What an address counts as where callers are bounded by address: of IPv6 its /64, because whoever has one address has all of them.
 *
 * @param address as Node gives it; IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4
 * @returns at most 64 characters: `192.0.2.1`, `2001:db8:0:1::/64`
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address.slice(0, 64);
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? [];
  const first = head.split(':').filter(Boolean);
  const last = tail?.split(':').filter(Boolean) ?? [];
  const middle = Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return `${[...first, ...(tail === undefined ? [] : middle), ...last].slice(0, 4).join(':')}::/64`.slice(
    0,
    64,
  );
}
