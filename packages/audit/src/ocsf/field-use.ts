import type { Event, EventKind } from '@countersign/model';

/**
 * What becomes of a field: `attribute` of OCSF's own, under its name in `unmapped`, or `log-only`: it
 * stays in the log, which `metadata.uid` leads to.
 */
type Use = 'attribute' | 'unmapped' | 'log-only';
type EventOf<K extends EventKind> = Extract<Event, { kind: K }>;
// How long a sink keeps an event is its own matter: `retention` stays in the log. So does what is sealed: a copy elsewhere would
// outlive its keys.
type Envelope = 'v' | 'id' | 'at' | 'origin' | 'seq' | 'retention' | 'replayed' | 'kind' | 'sealed';
/** Distributes over nothing: a kind's own fields, each of which must be decided. */
type FieldUse<K extends EventKind> = Readonly<
  Record<Exclude<keyof EventOf<K>, Envelope> & string, Use>
>;

const ATTRIBUTE = 'attribute';

const REQUEST = {
  surface: 'attribute',
  mode: 'unmapped',
  method: 'attribute',
  route: 'unmapped',
  subject: 'attribute',
  actors: 'unmapped',
  caller: 'attribute',
  peer: 'unmapped',
  session: 'attribute',
  txn: 'unmapped',
  ip: 'attribute',
  tokenHash: 'unmapped',
  evidence: 'unmapped',
} as const;

/**
 * An allow-list: a field of the event contract leaves the log only where this table says so, and a field
 * that is added to the contract does not compile until somebody has decided.
 */
export const FIELD_USE: { readonly [K in EventKind]: FieldUse<K> } = {
  authentication: {
    ...REQUEST,
    result: 'attribute',
    reason: 'attribute',
    detail: 'attribute',
    listener: 'attribute',
  },
  decision: {
    ...REQUEST,
    effect: 'attribute',
    enforced: 'unmapped',
    reason: 'attribute',
    detail: 'attribute',
    action: 'attribute',
    resource: 'attribute',
    // Whatever policies ask about: amounts, devices, attributes of persons. It stays where retention is kept.
    context: 'log-only',
    resourceParents: 'attribute',
    // As the context: attributes of a person.
    subjectEntity: 'log-only',
    policies: 'attribute',
    errors: 'unmapped',
    policyVersion: 'attribute',
    factSequence: 'unmapped',
    factsAgeMs: 'unmapped',
    microseconds: 'unmapped',
    stateChanging: 'unmapped',
    // Kept for a stranger to verify, target and certificate of the caller inside: `ledger evidence` gives it out.
    signature: 'log-only',
    assertion: 'log-only',
    signatureFault: 'unmapped',
    dpop: 'log-only',
    evidenceVouched: 'unmapped',
  },
  outcome: {
    surface: 'attribute',
    subject: 'attribute',
    session: 'attribute',
    txn: 'unmapped',
    mode: 'unmapped',
    status: 'attribute',
    bytes: 'attribute',
    forwarded: 'unmapped',
    failure: 'attribute',
    milliseconds: 'attribute',
  },
  closure: {
    surface: 'attribute',
    subject: 'attribute',
    session: 'attribute',
    txn: 'unmapped',
    cause: 'attribute',
    detail: 'attribute',
    bytes: 'attribute',
    milliseconds: 'attribute',
  },
  administration: { action: 'attribute', by: 'attribute', target: 'attribute', detail: 'unmapped' },
  signal: {
    type: 'attribute',
    subject: 'attribute',
    session: 'attribute',
    reason: 'attribute',
    level: 'attribute',
    compliance: 'unmapped',
    feature: 'attribute',
    score: 'attribute',
    because: 'unmapped',
  },
  alarm: { alarm: ATTRIBUTE, detail: ATTRIBUTE, surface: ATTRIBUTE },
};

/** The fields of an event that go under `unmapped`, by their own names. */
export function unmappedFields(event: Event): Readonly<Record<string, unknown>> {
  const use: Readonly<Record<string, Use>> = FIELD_USE[event.kind];
  return Object.fromEntries(
    Object.entries(event).filter(
      ([field, value]) => value !== undefined && use[field] === 'unmapped',
    ),
  );
}
