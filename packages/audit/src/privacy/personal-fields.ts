import type { Event, EventKind } from '@countersign/model';

/**
 * What becomes of a field when an event names a person: `clear` stays; `name` holds a subject that may be a person, and
 * `resource` what may be one's: a pseudonym stands in its place and the name is sealed; `own` tells of whoever asks, and
 * `request` of what was asked, by whom and about whom: both are sealed. A `text` says what is wrong and stays, with pseudonyms
 * for the subjects that it quotes.
 */
type Handling = 'clear' | 'name' | 'resource' | 'own' | 'request' | 'text';
type EventOf<K extends EventKind> = Extract<Event, { kind: K }>;
type Envelope = 'v' | 'id' | 'at' | 'origin' | 'seq' | 'retention' | 'replayed' | 'kind' | 'sealed';

const CLEAR = 'clear';

const REQUEST = {
  surface: 'clear',
  mode: 'clear',
  method: 'clear',
  route: 'clear',
  subject: 'name',
  actors: 'name',
  caller: 'name',
  // Of another trust domain, and never a person.
  peer: 'clear',
  // Random, and gone with the session: what belongs together must be seen to.
  session: 'clear',
  txn: 'clear',
  ip: 'own',
  tokenHash: 'clear',
  evidence: 'clear',
} as const;

const END = { surface: 'clear', subject: 'name', session: 'clear', txn: 'clear' } as const;

/** An allow-list: a field that is added to the contract does not compile until somebody has decided. */
export const PERSONAL_FIELDS: {
  readonly [K in EventKind]: Readonly<
    Record<Exclude<keyof EventOf<K>, Envelope> & string, Handling>
  >;
} = {
  authentication: {
    ...REQUEST,
    result: 'clear',
    reason: 'clear',
    detail: 'request',
    listener: 'clear',
  },
  decision: {
    ...REQUEST,
    effect: 'clear',
    enforced: 'clear',
    reason: 'clear',
    detail: 'request',
    action: 'clear',
    resource: 'resource',
    context: 'request',
    resourceParents: 'resource',
    subjectEntity: 'own',
    policies: 'clear',
    // They quote the values that they are about.
    errors: 'request',
    policyVersion: 'clear',
    factSequence: 'clear',
    factsAgeMs: 'clear',
    microseconds: 'clear',
    stateChanging: 'clear',
    signature: 'request',
    assertion: 'request',
    signatureFault: 'request',
    dpop: 'request',
    evidenceVouched: 'clear',
  },
  outcome: {
    ...END,
    mode: 'clear',
    status: 'clear',
    bytes: 'clear',
    forwarded: 'clear',
    failure: 'clear',
    milliseconds: 'clear',
  },
  closure: {
    ...END,
    cause: 'clear',
    detail: 'request',
    bytes: 'clear',
    milliseconds: 'clear',
  },
  administration: { action: 'clear', by: 'name', target: 'name', detail: 'request' },
  signal: {
    type: 'clear',
    subject: 'name',
    session: 'clear',
    reason: 'request',
    level: 'clear',
    compliance: 'clear',
    feature: 'clear',
    score: 'clear',
    because: 'clear',
  },
  alarm: { alarm: CLEAR, detail: 'text', surface: CLEAR },
};

/** How a field of an event is handled; one that this version does not know stays. */
export function handlingOf(kind: EventKind, field: string): Handling {
  const fields: Readonly<Record<string, Handling>> = PERSONAL_FIELDS[kind];
  // Not what every object has: `constructor` is no field.
  return Object.hasOwn(fields, field) ? (fields[field] as Handling) : 'clear';
}
