import { EVENT_VERSION, type Event } from '@countersign/model';

// The example bank's events as they would be in a bank of some size: partners and agents reading accounts,
// payments, a few denials and unusual things. The same seed gives the same events.

const CUSTOMERS = 200_000;
const SURFACES = [
  'accounts',
  'payments',
  'cards',
  'loans',
  'core',
  'screening',
  'documents',
  'rates',
];
const OPERATIONS = ['Get', 'List', 'Create', 'Update', 'Delete', 'Search'];

/** Values that questions of the benchmark ask for. */
export const SAMPLE = {
  subject: (number: number) => `spiffe://bank.example/human/user-${number}`,
  agent: (number: number) => `spiffe://bank.example/agent/worker-${number}`,
  customer: (number: number) => String(4_000_000 + number),
} as const;

/** How traffic is made: `events` is about what comes, exchanges being whole. */
export interface TrafficOptions {
  readonly events: number;
  readonly origin: string;
  readonly startMs: number;
  /** Over how long, in ms. */
  readonly spanMs: number;
}

/** Each event of the traffic, in the order of the log. */
export function* bankTraffic(options: TrafficOptions): Generator<Event, void, undefined> {
  const { events, origin, startMs, spanMs } = options;
  const random = xorshift(0x9e3779b9);
  const below = (limit: number): number => Math.floor(random() * limit);
  // Some are far busier than others.
  const skewed = (limit: number): number => Math.floor(limit * random() ** 3);
  const word = (length: number): string => {
    let text = '';
    while (text.length < length)
      text += Math.floor(random() * 2 ** 30)
        .toString(36)
        .padStart(6, '0');
    return text.slice(0, length);
  };
  for (let seq = 0; seq < events; ) {
    const at = startMs + Math.floor((seq / events) * spanMs);
    const common = { v: EVENT_VERSION, id: word(22), origin } as const;
    const isAgent = below(4) === 0;
    const subject = SAMPLE.subject(skewed(20_000));
    const surface = SURFACES[skewed(SURFACES.length)] ?? 'accounts';
    const operation = `${OPERATIONS[below(OPERATIONS.length)]}${surface}`;
    const draw = random();
    const [effect, reason] =
      draw < 0.97
        ? (['permit', 'policy-permits'] as const)
        : draw < 0.998
          ? (['deny', 'policy-none-permits'] as const)
          : (['challenge', 'authentication-insufficient'] as const);
    const isBreakGlass = below(20_000) === 0;
    const request = {
      surface,
      mode: 'enforce',
      subject,
      ...(isAgent && { actors: [SAMPLE.agent(below(50))] }),
      session: `s-${subject.slice(32)}-${below(40)}`,
      txn: word(22),
    } as const;
    yield {
      ...common,
      at,
      seq: seq++,
      kind: 'decision',
      ...request,
      method: 'GET',
      route: `/${surface}/{Id}/${operation}`,
      ip: `10.1.${below(256)}.${below(256)}`,
      tokenHash: word(43),
      evidence: 'E1',
      effect,
      enforced: true,
      reason,
      action: operation,
      resource: { type: 'Accounts::Account', id: SAMPLE.customer(below(CUSTOMERS)) },
      resourceParents: [{ type: 'Surface', id: surface }],
      context: { risk: 'LOW', scopes: [surface] },
      policies: [isBreakGlass ? 'ops-break-glass' : `${surface}-${effect}-${below(3)}`],
      microseconds: 12,
      policyVersion: 'sha256-47DEQpj8HBSa',
      factSequence: 1000 + Math.floor(seq / 1000),
      stateChanging: false,
    };
    const { mode, session, txn } = request;
    yield {
      ...common,
      at: at + 1 + below(20),
      seq: seq++,
      kind: 'outcome',
      ...{ surface, subject, mode, session, txn },
      status: effect === 'permit' ? 200 : 403,
      bytes: below(5000),
      forwarded: effect === 'permit',
      milliseconds: 1 + below(20),
    };
  }
}

/** Marsaglia's xorshift32, as a number from 0 to 1. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
