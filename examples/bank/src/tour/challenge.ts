/** RFC 9470 §4: what an application begins again with, from the challenge of a point. */
export function challengeOf(header: unknown): Record<string, string> {
  const parameters = [...String(header).matchAll(/(acr_values|max_age)="?([^",]+)"?/g)];
  return Object.fromEntries(parameters.map(([, name = '', value = '']) => [name, value]));
}
