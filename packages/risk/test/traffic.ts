import { type DecisionEvent, EVENT_VERSION, type OutcomeEvent } from '@countersign/model';

/** Monday, 2026-01-05, 00:00 UTC. */
export const MONDAY = Date.UTC(2026, 0, 5);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A small seeded generator (mulberry32), so that a test's traffic is the same on every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal (Box and Muller). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function workload(name: string): string {
  return `spiffe://bank.example/workload/${name}`;
}

let nextId = 0;

export interface ReadOptions {
  subject: string;
  at: number;
  bytes?: number;
  resource?: string;
  session?: string;
  replayed?: boolean;
  id?: string;
  forwarded?: boolean;
}

/** The decision and the outcome of one read. */
export function read(options: ReadOptions): [DecisionEvent, OutcomeEvent] {
  const { subject, at, bytes, resource = 'a1', session, replayed, forwarded = true } = options;
  const id = options.id ?? `event-${nextId++}`;
  const shared = {
    v: EVENT_VERSION as 1,
    id,
    at,
    origin: 'bank.example/points/edge',
    seq: nextId,
    surface: 'accounts',
    subject,
    ...(session !== undefined && { session }),
    ...(replayed === true && { replayed: true as const }),
  };
  return [
    {
      ...shared,
      kind: 'decision',
      effect: forwarded ? 'permit' : 'deny',
      enforced: true,
      reason: forwarded ? 'policy-permits' : 'policy-none-permits',
      action: 'GetAccount',
      resource: { type: 'Accounts::Account', id: resource },
      policyVersion: 'p1',
      factSequence: 1,
    },
    { ...shared, kind: 'outcome', status: forwarded ? 200 : 403, bytes: bytes ?? 2000, forwarded },
  ];
}

export interface Rhythm {
  subject: string;
  seed: number;
  from: number;
  to: number;
  /** Requests per hour at noon of a working day. */
  perHour: number;
  /** Multiplies requests. */
  factor?: number;
  session?: string;
  replayed?: boolean;
  accounts?: number;
}

/**
 * The reads of a service with day, night and weekend: a Poisson process whose rate follows the hour
 * (a quarter at night, a third at weekends) and wanders from hour to hour (log-normal, correlated),
 * with log-normal answer sizes and accounts picked unevenly.
 */
export function* serviceReads(rhythm: Rhythm): Generator<ReadOptions> {
  const { subject, seed, from, to, perHour, factor = 1, accounts = 200 } = rhythm;
  const random = seeded(seed);
  let mood = 0;
  for (let hour = from; hour < to; hour += HOUR) {
    mood = 0.7 * mood + 0.2 * normal(random);
    const rate = perHour * factor * weekShape(hour) * Math.exp(mood);
    for (let at = hour + gap(random, rate); at < hour + HOUR; at += gap(random, rate)) {
      yield {
        subject,
        at: Math.floor(at),
        bytes: Math.floor(Math.exp(8 + normal(random))),
        resource: `a${Math.floor(accounts * random() ** 2)}`,
        ...(rhythm.session !== undefined && { session: rhythm.session }),
        ...(rhythm.replayed === true && { replayed: true }),
      };
    }
  }
}

function weekShape(at: number): number {
  const date = new Date(at);
  const hour = date.getUTCHours();
  const day = 0.25 + 0.75 * Math.max(0, Math.sin(((hour - 5) / 16) * Math.PI));
  const weekend = date.getUTCDay() === 0 || date.getUTCDay() === 6 ? 0.33 : 1;
  return day * weekend;
}

function gap(random: () => number, perHour: number): number {
  return (-Math.log(1 - random()) * HOUR) / perHour;
}
