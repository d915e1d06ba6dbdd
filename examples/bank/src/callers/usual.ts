import { accountIdAt } from '../data/generate-bank.ts';
import { OPENED_ACCOUNTS } from '../data/opened-accounts.ts';
import type { SeededRandom } from '../data/seeded-random.ts';
import type { PartnerName } from './partner.ts';

/** A request as a partner usually makes it. */
export interface UsualRequest {
  readonly partner: PartnerName;
  readonly surface: 'accounts' | 'payments';
  /** An operationId. */
  readonly operation: string;
  /** Path template, as the description has it. */
  readonly route: string;
  readonly account?: string;
  readonly path: string;
  /** How long an answer usually is; a test compares with the services. */
  readonly bytes: number;
}

/** A partner's habits: what the past was made of, and what the traffic generator goes on with. */
export interface UsualCaller {
  readonly partner: PartnerName;
  /** While it is at work. */
  readonly requestsPerMinute: number;
  /** The chance that it is at work in an hour of a working day, 0 to 1. */
  readonly workingShare: number;
  /** How much less often it is at work in an hour of the night than in one of the day, 0 to 1. */
  readonly nightShare: number;
}

/** Who calls, and how much. */
export const USUAL_CALLERS: readonly UsualCaller[] = [
  { partner: 'ledgerly', requestsPerMinute: 30, workingShare: 0.12, nightShare: 0.25 },
  { partner: 'harvest', requestsPerMinute: 6, workingShare: 0.4, nightShare: 0.45 },
  { partner: 'pocketwise', requestsPerMinute: 24, workingShare: 0.12, nightShare: 0.2 },
];

/** What all partners together ask for per second while they are at work: one request. */
export const USUAL_RATE_PER_SECOND =
  USUAL_CALLERS.reduce((sum, { requestsPerMinute }) => sum + requestsPerMinute, 0) / 60;

/** A share in 100 for each operation, with its usual length in bytes. */
const ACCOUNT_OPERATIONS = [
  { share: 40, operation: 'GetAccountBalances', tail: '/balances', bytes: 470 },
  { share: 30, operation: 'GetAccountTransactions', tail: '/transactions', bytes: 8_400 },
  { share: 20, operation: 'GetAccount', tail: '', bytes: 440 },
  { share: 10, operation: 'GetAccountStandingOrders', tail: '/standing-orders', bytes: 910 },
] as const;

/** Draws what a partner asks next: about its own accounts, mostly the first few of them. */
export function usualRequest(partner: PartnerName, random: SeededRandom): UsualRequest {
  const accounts = OPENED_ACCOUNTS[partner] ?? [];
  if (random.next() < 0.08) {
    const bytes = 90 + 405 * accounts.length;
    const route = '/accounts';
    return {
      partner,
      surface: 'accounts',
      operation: 'ListAccounts',
      route,
      path: '/accounts-api/accounts',
      bytes,
    };
  }
  // A square leans to the front of the list: customers that open the app often.
  const index = Math.floor(random.next() ** 2 * accounts.length);
  const account = accounts[index] ?? accountIdAt(0);
  let draw = random.between(1, 100);
  const picked =
    ACCOUNT_OPERATIONS.find(({ share }) => {
      draw -= share;
      return draw <= 0;
    }) ?? ACCOUNT_OPERATIONS[0];
  const { operation, tail, bytes } = picked;
  const route = `/accounts/{AccountId}${tail}`;
  const path = `/accounts-api/accounts/${account}${tail}`;
  return { partner, surface: 'accounts', operation, route, account, path, bytes };
}
