import type { BankConfig } from '@countersign/policy';

/**
 * Which processes go on with what they were started with, because a new configuration differs in what is
 * read at the start: `authority`, and points by name. Surfaces, policies, identities and clusters need no restart.
 */
export function needsRestart(started: BankConfig, next: BankConfig): readonly string[] {
  const changed: string[] = [];
  if (!isSame(readAtStart(started), readAtStart(next))) changed.push('authority');
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

/** Clusters follow the repository, and how people sign in; whether they do does not. */
function readAtStart({ authority }: BankConfig): unknown {
  const { kubernetes: _, ...more } = authority;
  return { ...more, login: authority.login !== undefined };
}

/** Both were made by the same parser: equal values have their keys in one order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
