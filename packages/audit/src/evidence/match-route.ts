/**
 * The values of a path template's parameters in a URI, in order and decoded, or nothing when the URI is of another operation.
 *
 * A point serves an API below a prefix that its events do not tell: the template must fit the end of the path, from one `/`
 * on. Compared raw, as the point did; only the values are decoded.
 *
 * @param template the `route` of an event, such as `/accounts/{AccountId}/balances`
 * @param uri an absolute URI, as `@target-uri` or a DPoP proof's `htu` has it
 */
export function matchRoute(template: string, uri: string): readonly string[] | undefined {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(\/[^?#]*)/i.exec(uri)?.[1];
  const wanted = template.split('/').slice(1);
  const found = path?.split('/').slice(1) ?? [];
  if (found.length < wanted.length) return undefined;
  const values: string[] = [];
  for (const [at, segment] of wanted.entries()) {
    const value = valueIn(found[found.length - wanted.length + at] as string, segment);
    if (value === undefined) return undefined;
    if (segment.includes('{')) values.push(value);
  }
  return values;
}

function valueIn(found: string, segment: string): string | undefined {
  const [, prefix, suffix] = /^([^{]*)\{[^}]*\}(.*)$/.exec(segment) ?? [];
  if (prefix === undefined || suffix === undefined) return found === segment ? found : undefined;
  const isLongEnough = found.length > prefix.length + suffix.length;
  if (!isLongEnough || !found.startsWith(prefix) || !found.endsWith(suffix)) return undefined;
  try {
    return decodeURIComponent(found.slice(prefix.length, found.length - suffix.length));
  } catch {
    return undefined;
  }
}
