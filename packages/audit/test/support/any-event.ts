import { EVENT_VERSION, type Event, type EventKind, REASONS } from '@countersign/model';
import fc from 'fast-check';

const text = (maxLength: number) =>
  fc.oneof(fc.string({ maxLength }), fc.string({ unit: 'binary', maxLength }));
const time = fc.integer({ min: 0, max: 4e12 });
const uid = fc.record({ type: text(20), id: text(40) });
const spiffeId = fc.oneof(
  fc.constantFrom(
    'spiffe://bank.example/human/alice',
    'spiffe://bank.example/workload/payments/api',
    'spiffe://bank.example/agent/reconciler/7f3a',
    'spiffe://bank.example/partner/ledgerly',
  ),
  text(60),
);
const mode = fc.constantFrom('shadow', 'enforce');
const ip = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom('', '@', '::ffff:127.0.0.1', 'fe80::1%eth0', '::1', '1.2.3.4.5'),
  text(64),
);
const json = fc.dictionary(text(12), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
const method = fc.oneof(
  fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', 'PROPFIND'),
  text(32),
);

const request = {
  surface: text(20),
  mode,
  method,
  route: text(40),
  subject: spiffeId,
  actors: fc.array(spiffeId, { maxLength: 3 }),
  caller: spiffeId,
  peer: spiffeId,
  session: text(30),
  txn: text(30),
  ip,
  tokenHash: text(43),
  evidence: fc.constantFrom('E0', 'E1', 'E2', 'E3'),
};

/** By kind: the fields that must be there, and those that may. */
const fields: Readonly<
  Record<EventKind, readonly [Record<string, unknown>, Record<string, unknown>]>
> = {
  authentication: [
    { result: fc.constantFrom('accepted', 'refused', 'would-refuse'), reason: text(40) },
    { ...request, detail: text(60), listener: text(20) },
  ],
  decision: [
    {
      effect: fc.constantFrom('permit', 'deny', 'challenge'),
      enforced: fc.boolean(),
      reason: fc.constantFrom(...REASONS),
      policyVersion: text(43),
      factSequence: fc.nat(),
    },
    {
      ...request,
      detail: text(60),
      action: text(20),
      resource: uid,
      context: json,
      resourceParents: fc.array(uid, { maxLength: 2 }),
      subjectEntity: fc.record({ attributes: json, parents: fc.array(uid, { maxLength: 2 }) }),
      policies: fc.array(text(20), { maxLength: 3 }),
      errors: fc.array(fc.record({ policy: text(10), message: text(20) }), { maxLength: 2 }),
      factsAgeMs: fc.double({ min: -1e6, max: 1e9, noNaN: true }),
      microseconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
      stateChanging: fc.boolean(),
      signature: fc.record({
        input: text(60),
        value: text(20),
        algorithm: text(20),
        base: text(80),
        key: fc.dictionary(text(4), text(20), { maxKeys: 3 }),
        keyThumbprint: text(43),
        keyFrom: fc.constantFrom('dpop', 'certificate', 'svid'),
      }),
      assertion: fc.record({
        statement: text(80),
        credentialId: text(20),
        authenticatorData: text(50),
        clientDataJson: text(50),
        signature: text(50),
        publicKey: text(50),
        rpId: text(20),
        origins: fc.array(text(20), { maxLength: 2 }),
      }),
      signatureFault: text(60),
      dpop: text(60),
      evidenceVouched: fc.constantFrom('E0', 'E1', 'E2', 'E3'),
    },
  ],
  outcome: [
    { status: fc.integer({ min: 0, max: 999 }), forwarded: fc.boolean() },
    {
      surface: text(20),
      subject: spiffeId,
      session: text(20),
      txn: text(20),
      mode,
      bytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      failure: text(30),
      milliseconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
    },
  ],
  closure: [
    {
      cause: fc.constantFrom(
        ...['complete', 'client-abort', 'upstream-reset', 'revoked'],
        ...['expired', 'policy-changed', 'shutdown'],
      ),
      bytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      milliseconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
    },
    { surface: text(20), subject: spiffeId, session: text(20), txn: text(20), detail: text(40) },
  ],
  administration: [
    {
      action: fc.oneof(
        fc.constantFrom(
          ...[
            'authority-started',
            'authority-stopped',
            'issuer-started',
            'session-started',
            'token-issued',
          ],
          ...['subject-revoked', 'subject-reinstated', 'bundle-published', 'svid-issued'],
          ...['person-created', 'person-disabled', 'person-enabled', 'person-deleted'],
          ...['session-revoked', 'baseline-replayed', '-', 'toString', '__proto__', 'x-created'],
        ),
        text(64),
      ),
      by: fc.oneof(fc.constantFrom('system', 'system:risk', 'local:uid=0'), spiffeId),
    },
    {
      target: text(60),
      detail: fc.oneof(
        json,
        fc.record({ scope: fc.constantFrom('', 'a b', ' a  b '), session: text(9) }),
      ),
    },
  ],
  signal: [
    { type: text(30), subject: spiffeId, reason: text(60) },
    {
      session: text(20),
      level: fc.oneof(fc.constantFrom('LOW', 'MEDIUM', 'HIGH', 'constructor'), text(10)),
      compliance: fc.constantFrom('compliant', 'not-compliant'),
      feature: text(20),
      score: fc.double({ min: 0, max: 100, noNaN: true }),
      because: fc.array(text(22), { maxLength: 3 }),
    },
  ],
  alarm: [
    {
      alarm: fc.oneof(fc.constantFrom('log-fork', 'facts-stale', 'valueOf'), text(64)),
      detail: text(60),
    },
    { surface: text(20) },
  ],
};

/** The names of all fields that {@link anyEvent} may give an event of a kind. */
export function fieldsOf(kind: EventKind): readonly string[] {
  return fields[kind].flatMap((record) => Object.keys(record));
}

/** Any event of the contract, of one kind. */
export function anyEvent(kind: EventKind): fc.Arbitrary<Event> {
  const [needed, optional] = fields[kind];
  const envelope = {
    v: fc.constant(EVENT_VERSION),
    id: fc.string({ minLength: 1, maxLength: 64 }),
    at: time,
    origin: text(40),
    seq: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    kind: fc.constant(kind),
  };
  const requiredKeys = [...Object.keys(envelope), ...Object.keys(needed)];
  // The class that a test's keys are of.
  const retention = fc.constant('evidence');
  const model = { ...envelope, ...needed, ...optional, retention, replayed: fc.constant(true) };
  return fc.record(model as Record<string, fc.Arbitrary<unknown>>, { requiredKeys }).map(
    // What a log holds went through JSON.
    (event) => JSON.parse(JSON.stringify(event)) as Event,
  );
}
