import type { Exchange } from '../exchange.ts';

/** RFC 9110 §9.2.1 */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Why a request that may change something does not come from a page of the application. A cookie says who asks, and never
 * whether they meant to: what others' pages make the browser send has it, too.
 *
 * @returns nothing for what is only read, and for what the application's own pages sent
 * @see Fetch Standard, `Origin`; Fetch Metadata Request Headers; RFC 6455 §10.2
 */
export function crossSiteFault(
  { head, isUpgrade }: Pick<Exchange, 'head' | 'isUpgrade'>,
  {
    origin,
    allowedOrigins,
  }: { readonly origin: string; readonly allowedOrigins: readonly string[] },
): string | undefined {
  if (SAFE_METHODS.has(head.method) && !isUpgrade) return undefined;
  const origins = valuesOf(head.rawHeaders, 'origin');
  const sites = valuesOf(head.rawHeaders, 'sec-fetch-site');
  if (origins.length > 1 || sites.length > 1) return 'Origin or Sec-Fetch-Site came twice';
  const [from] = origins;
  const [site] = sites;
  if (from !== undefined) {
    if (allowedOrigins.includes(from)) return undefined;
    // Fetch, "append a request `Origin` header": a page with the policy no-referrer is not named, to itself either. Which site
    // it is of, the browser says all the same, and no page can make it say another.
    const isUnnamed = from === 'null' && site === 'same-origin' && !isUpgrade;
    if (from !== origin && !isUnnamed) return `Origin '${from.slice(0, 200)}'`;
  } else if (isUpgrade) {
    return 'a WebSocket without Origin';
  } else if (site === undefined) {
    return 'neither Origin nor Sec-Fetch-Site';
  }
  // `none` is the person: an address that was typed, a page that was loaded again.
  return site === undefined || site === 'same-origin' || site === 'none'
    ? undefined
    : `Sec-Fetch-Site '${site.slice(0, 50)}'`;
}

/** All values of a field, by lower-case name. */
export function valuesOf(rawHeaders: readonly string[], lowerName: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if ((rawHeaders[index] as string).toLowerCase() === lowerName) {
      values.push(rawHeaders[index + 1] as string);
    }
  }
  return values;
}

/** Whether a request opens a page in a tab: then it can be sent to sign in, and come back. */
export function isNavigation({ head, isUpgrade }: Pick<Exchange, 'head' | 'isUpgrade'>): boolean {
  if (head.method !== 'GET' || isUpgrade) return false;
  return isPage(head.rawHeaders);
}

/** Whether what is answered is shown to a person, and not read by a script; a form that was sent, too. */
export function isPage(rawHeaders: readonly string[]): boolean {
  const [mode] = valuesOf(rawHeaders, 'sec-fetch-mode');
  if (mode === undefined) return /\btext\/html\b/i.test(valuesOf(rawHeaders, 'accept').join(','));
  const [destination = 'document'] = valuesOf(rawHeaders, 'sec-fetch-dest');
  // The issuer's pages are shown in no frame.
  return mode === 'navigate' && destination === 'document';
}
