import { accountIdAt } from './generate-bank.ts';

/**
 * Which accounts their holders opened to which partner, by the last part of the partner's SPIFFE
 * ID. The repository's `identities/partners.yaml` says the same to policies; a test compares.
 */
export const OPENED_ACCOUNTS: Readonly<Record<string, readonly string[]>> = {
  ledgerly: [41, 42, 43].map(accountIdAt),
  harvest: Array.from({ length: 60 }, (_, index) => accountIdAt(100 + index)),
  pocketwise: [44, 45].map(accountIdAt),
  tempo: [46].map(accountIdAt),
};

/** The accounts open to a subject; none for anyone but the partners above. */
export function openedTo(spiffeId: string): readonly string[] {
  const partner = /^spiffe:\/\/[^/]+\/partner\/([a-z0-9-]+)$/.exec(spiffeId)?.[1];
  // A partner called 'constructor' has nothing opened to it.
  if (partner === undefined || !Object.hasOwn(OPENED_ACCOUNTS, partner)) return [];
  return OPENED_ACCOUNTS[partner] ?? [];
}
