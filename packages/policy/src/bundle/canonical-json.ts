/**
 * JSON with one spelling: keys sorted by UTF-16 units, no spaces.
 *
 * @param value strings, booleans, null, safe integers, lists and mappings; `undefined` members are left out
 * @see RFC 8785 §3.2, of which this is the part without fractions
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}
