import type { BankConfig } from '@countersign/policy';

/**
 * Which processes go on with what they were started with, because a new configuration differs in what is
 * read at the start: `authority`, and points and issuers by name. Surfaces, policies, identities and clusters need no restart.
 */
export function needsRestart(started: BankConfig, next: BankConfig): readonly string[] {
  const changed: string[] = [];
  if (!isSame(readAtStart(started), readAtStart(next))) changed.push('authority');
  const { issuers = [] } = started.authority;
  for (const issuer of issuers) {
    const after = next.authority.issuers?.find(({ name }) => name === issuer.name);
    // What an issuer reads at its start is what the authority does.
    if (changed.includes('authority') || !isSame(issuer, after)) changed.push(issuer.name);
  }
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

/** Clusters follow the repository, how people sign in, and of devices all but where webhooks come in; whether people sign in does not. */
function readAtStart({ authority }: BankConfig): unknown {
  const { kubernetes: _, issuers: __, devices, ...more } = authority;
  return { ...more, login: authority.login !== undefined, webhooks: devices?.webhooks };
}

/** Both were made by the same parser: equal values have their keys in one order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
