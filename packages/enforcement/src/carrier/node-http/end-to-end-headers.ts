import type { ForwardPlan } from '../../exchange.ts';

// RFC 9110 §7.6.1, with the fields that were never standard but mean the same.
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
]);

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Header fields without those that belong to one connection: the hop-by-hop ones and those that
 * `Connection` names. Order, case and number of the others stay.
 *
 * @param keep lower-case names of hop-by-hop fields to leave in
 * @param strip lower-case names to take out as well
 * @param isStripped what else to take out, by lower-case name and value
 * @param before fields to begin with
 */
export function endToEndHeaders(
  raw: readonly string[],
  {
    keep = NOTHING,
    strip = NOTHING,
    isStripped,
    before = [],
  }: {
    readonly keep?: ReadonlySet<string>;
    readonly strip?: ReadonlySet<string>;
    readonly isStripped?: ForwardPlan['isStripped'] | undefined;
    readonly before?: readonly string[];
  } = {},
): string[] {
  const nominated = nominatedFields(raw);
  const headers: string[] = [...before];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const lower = name.toLowerCase();
    if (strip.has(lower) || isStripped?.(lower, raw[index + 1] as string)) continue;
    if ((HOP_BY_HOP.has(lower) || nominated?.has(lower)) && !keep.has(lower)) continue;
    headers.push(name, raw[index + 1] as string);
  }
  return headers;
}

/** Fields that are framing or address may not be nominated away: the next reader needs them. */
const NEVER_NOMINATED: ReadonlySet<string> = new Set(['host', 'content-length', 'content-type']);

function nominatedFields(raw: readonly string[]): Set<string> | undefined {
  let nominated: Set<string> | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    for (const option of (raw[index + 1] as string).toLowerCase().split(',')) {
      const field = option.trim();
      if (field === '' || field === 'close' || field === 'keep-alive') continue;
      if (NEVER_NOMINATED.has(field)) continue;
      nominated ??= new Set();
      nominated.add(field);
    }
  }
  return nominated;
}

/**
 * Header fields as Node takes them for a message without chunks: it throws at `Trailer` there. Such a
 * field announces what cannot come (RFC 9110 §6.5.1), so nobody misses it.
 */
export function withoutIdleTrailer(raw: readonly string[], isChunked: boolean): readonly string[] {
  if (isChunked || headerValue(raw, 'trailer') === undefined) return raw;
  return raw.filter((_, index) => raw[index - (index % 2)]?.toLowerCase() !== 'trailer');
}

/** The value of a field, by lower-case name; the first when there are several. */
export function headerValue(raw: readonly string[], lowerName: string): string | undefined {
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return raw[index + 1];
  }
  return undefined;
}

/** Names and values alternating, as a list of both. */
export function fieldPairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    list.push([raw[index] as string, raw[index + 1] as string]);
  }
  return list;
}

/** Body bytes of an answer as its head tells them (RFC 9112 §6.3); undefined when it does not. */
export function bodyBytes(
  method: string,
  status: number,
  raw: readonly string[],
): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  if (headerValue(raw, 'transfer-encoding') !== undefined) return undefined;
  const length = headerValue(raw, 'content-length');
  return length !== undefined && /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined;
}
