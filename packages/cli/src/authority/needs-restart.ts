import type { BankConfig } from '@countersign/policy';

/**
 * Which processes go on with what they were started with, because a new configuration differs in what is
 * read at the start: `authority`, and points by name. Surfaces, policies, identities and clusters need no restart.
 */
export function needsRestart(started: BankConfig, next: BankConfig): readonly string[] {
  const changed: string[] = [];
  const { kubernetes: _before, ...authority } = started.authority;
  const { kubernetes: _now, ...nextAuthority } = next.authority;
  if (!isSame(authority, nextAuthority)) changed.push('authority');
  for (const point of started.points) {
    if (
      !isSame(
        point,
        next.points.find(({ name }) => name === point.name),
      )
    )
      changed.push(point.name);
  }
  return changed;
}

/** Both were made by the same parser: equal values have their keys in one order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
