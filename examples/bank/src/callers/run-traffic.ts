import { setTimeout as sleep } from 'node:timers/promises';
import { type SeededRandom, seededRandom } from '../data/seeded-random.ts';
import { AUDIENCES, type BankEnvironment } from './environment.ts';
import { makePayment } from './make-payment.ts';
import { type Caller, openCaller } from './open-caller.ts';
import { USUAL_CALLERS, usualRequest } from './usual.ts';

/** How steady traffic went. */
export interface TrafficSummary {
  readonly sent: number;
  /** By status; 0 for exchanges that broke off. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Not sent, because too many were under way. */
  readonly skipped: number;
}

/** How to make traffic. */
export interface TrafficOptions {
  /** On average, all partners together; {@link USUAL_RATE_PER_SECOND} is what the past knows. */
  readonly ratePerSecond: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly seed?: string;
  /** Told of each answer: who asked, what came. */
  readonly onAnswer?: (partner: string, status: number) => void;
}

const UNDER_WAY_MAX = 64;
/** How long a partner waits after it was refused a token or could not connect. */
const PAUSE_MS = 10_000;
/** Every so many requests of ledgerly's is a payment. */
const PAYMENT_SHARE = 0.06;

/**
 * Lets the partners do what they usually do, at random moments, until the signal ends it. A partner
 * that is refused a token or cannot connect pauses for ten seconds; nothing is retried.
 */
export async function runTraffic(
  env: BankEnvironment,
  options: TrafficOptions,
): Promise<TrafficSummary> {
  const { ratePerSecond, signal, seed = 'traffic', onAnswer } = options;
  const random = seededRandom(seed);
  const callers = new Map<string, Caller>();
  for (const { partner } of USUAL_CALLERS) callers.set(partner, openCaller(env, partner));
  const statuses = new Map<number, number>();
  const pausedUntilMs = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  let skipped = 0;
  while (!signal.aborted) {
    // Exponential gaps make a Poisson process: the traffic of many who know nothing of each other.
    const gapMs = (-Math.log(1 - random.next()) / ratePerSecond) * 1000;
    await sleep(Math.min(gapMs, 60_000), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    const { partner } = pickCaller(random);
    const caller = callers.get(partner) as Caller;
    if ((pausedUntilMs.get(partner) ?? 0) > env.now()) continue;
    if (underWay.size >= UNDER_WAY_MAX) {
      skipped += 1;
      continue;
    }
    sent += 1;
    const one: Promise<void> = sendOne(caller, random)
      .catch(() => {
        pausedUntilMs.set(partner, env.now() + PAUSE_MS);
        return 0;
      })
      .then((status) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        onAnswer?.(partner, status);
        underWay.delete(one);
      });
    underWay.add(one);
  }
  await Promise.all(underWay);
  await Promise.all([...callers.values()].map((caller) => caller.close()));
  return { sent, statuses, skipped };
}

function pickCaller(random: SeededRandom): (typeof USUAL_CALLERS)[number] {
  const total = USUAL_CALLERS.reduce((sum, caller) => sum + caller.requestsPerMinute, 0);
  let draw = random.next() * total;
  for (const caller of USUAL_CALLERS) {
    draw -= caller.requestsPerMinute;
    if (draw < 0) return caller;
  }
  return USUAL_CALLERS[0] as (typeof USUAL_CALLERS)[number];
}

async function sendOne(caller: Caller, random: SeededRandom): Promise<number> {
  const partner = caller.partner?.name ?? 'ledgerly';
  if (partner === 'ledgerly' && random.next() < PAYMENT_SHARE) {
    const token = await caller.token({ scope: 'payments', resource: AUDIENCES.payments });
    const paid = await makePayment(caller, token, { account: '22289', amount: '1.00' });
    return paid.payment?.status ?? paid.consent.status;
  }
  const { path } = usualRequest(partner, random);
  const token = await caller.token({ scope: 'accounts', resource: AUDIENCES.accounts });
  const { status } = await caller.call({ path, token });
  return status;
}
