/** What every cookie of ours begins with; none with it goes to the application, or comes from it. */
const PREFIX = '__host-countersign';

/** The value of a cookie as the browser sent it. */
export type CookieFound =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'none' }
  /** Two of one name: a browser keeps one for each name, so somebody else wrote the other. */
  | { readonly kind: 'twice' };

/**
 * The session's cookie of a point. Points of one application have cookies of their own, so that behind a balancer none forgets
 * the session of another.
 */
export function sessionCookieName(point: string): string {
  return `__Host-countersign.${point}`;
}

/** @param tag of the sign-in that it belongs to: each tab has its own */
export function signInCookieName(point: string, tag: string): string {
  return `__Host-countersign-in.${point}.${tag}`;
}

/** All pairs of all `Cookie` fields, in the order that the browser sent them: the one made first comes first. */
function pairs(rawHeaders: readonly string[]): { readonly name: string; readonly value: string }[] {
  const found: { name: string; value: string }[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if ((rawHeaders[index] as string).toLowerCase() !== 'cookie') continue;
    for (const pair of (rawHeaders[index + 1] as string).split(';')) {
      const at = pair.indexOf('=');
      if (at > 0) found.push({ name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim() });
    }
  }
  return found;
}

export function findCookie(rawHeaders: readonly string[], name: string): CookieFound {
  const [first, ...more] = pairs(rawHeaders).filter((each) => each.name === name);
  if (!first) return { kind: 'none' };
  return more.length > 0 ? { kind: 'twice' } : { kind: 'value', value: first.value };
}

/** The names of the cookies of this point's sign-ins, the oldest first. */
export function signInCookies(rawHeaders: readonly string[], point: string): readonly string[] {
  const prefix = signInCookieName(point, '');
  return pairs(rawHeaders).flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []));
}

/** A `Cookie` field without ours; nothing when no other is left. */
export function withoutOurCookies(value: string): string | undefined {
  const kept = value.split(';').filter((pair) => !isOurs(pair));
  return kept.length === 0 ? undefined : kept.join(';').trim();
}

/** Whether a `Set-Cookie` or a pair of a `Cookie` field names one of ours; browsers compare the prefix without case. */
export function isOurs(pair: string): boolean {
  return pair.trimStart().toLowerCase().startsWith(PREFIX);
}

/**
 * RFC 6265bis §4.1.3.2: `__Host-` keeps it to this host, to TLS and to path `/`. `Lax`, since people come back from the issuer,
 * which is another site.
 *
 * @param maxAgeSeconds absent for one that ends with the browser
 */
export function setCookie(name: string, value: string, maxAgeSeconds?: number): string {
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`;
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax${age}`;
}
