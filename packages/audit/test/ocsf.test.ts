import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OCSF_VERSION, type OcsfEvent, toOcsf } from '@countersign/audit';
import { leafHash } from '@countersign/ledger';
import { type Event, type EventKind, parseEvent } from '@countersign/model';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FIELD_USE } from '../src/ocsf/field-use.ts';
import { anyEvent, fieldsOf } from './support/any-event.ts';
import {
  type OcsfSchema,
  ocsfProblems,
  readOcsfSchema,
  schemaMissing,
} from './support/ocsf-schema.ts';
import { closure, decision, encode, NOW, outcome } from './support/points.ts';

const KINDS = Object.keys(FIELD_USE) as EventKind[];
const RUNS = 400;
const SEED = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const tour = readFileSync(join(import.meta.dirname, 'vectors', 'tour-events.ndjson'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => parseEvent(JSON.parse(line)));

if (schemaMissing) console.log(`skipped: ${schemaMissing}`);
const withSchema = test.skipIf(schemaMissing !== undefined);
const schema = (): OcsfSchema => readOcsfSchema();

withSchema('every shape of event that the example bank writes is an OCSF event', () => {
  const ocsf = schema();
  const classes = new Set<string>();
  for (const event of tour) {
    const written = sent(toOcsf(event));
    expect({ event, problems: ocsfProblems(ocsf, written) }).toEqual({ event, problems: [] });
    classes.add(written.class_name);
  }
  expect([...classes].sort()).toEqual([
    ...['API Activity', 'Application Lifecycle', 'Authentication', 'Authorize Session'],
    ...['Detection Finding', 'Entity Management', 'HTTP Activity'],
  ]);
});

withSchema('a browser that signs out is a logoff, and whoever tries and fails is none', () => {
  const signedIn = tour.find(({ kind }) => kind === 'authentication');
  const activity = (more: object) => {
    const written = sent(toOcsf(parseEvent({ ...signedIn, ...more })));
    expect(ocsfProblems(schema(), written)).toEqual([]);
    return written.activity_name;
  };
  expect(activity({ result: 'accepted', reason: 'web-session-ended' })).toBe('Logoff');
  expect(activity({ result: 'accepted', reason: 'web-session-started' })).toBe('Logon');
  expect(activity({ result: 'refused', reason: 'web-sign-in-refused' })).toBe('Logon');
});

for (const kind of KINDS) {
  withSchema(`any ${kind} of the contract is an OCSF event`, () => {
    const ocsf = schema();
    console.log(`${kind}: SEED=${SEED}`);
    fc.assert(
      fc.property(anyEvent(kind), (event) => {
        parseEvent(event);
        expect(ocsfProblems(ocsf, sent(toOcsf(event)))).toEqual([]);
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
}

test('the random events have every field of the contract', () => {
  for (const kind of KINDS) {
    expect({ kind, fields: fieldsOf(kind).toSorted() }).toEqual({
      kind,
      fields: Object.keys(FIELD_USE[kind]).toSorted(),
    });
  }
});

withSchema('the validator that these tests stand on refuses events that OCSF forbids', () => {
  const ocsf = schema();
  const good = sent(toOcsf(eventOf({ ...decision('d'), ...asked, method: 'GET' })));
  expect(ocsfProblems(ocsf, good)).toEqual([]);
  const mutations: readonly [RegExp, (event: Loose) => void][] = [
    [/^api: missing$/, (event) => delete event['api']],
    [/^src_endpoint: missing$/, (event) => delete event['src_endpoint']],
    [/^metadata.product: missing$/, (event) => delete at(event, 'metadata')['product']],
    [/^api.operation: missing$/, (event) => delete at(event, 'api')['operation']],
    [/^severity_id: missing$/, (event) => delete event['severity_id']],
    [/^verdict: unknown attribute$/, (event) => (event['verdict'] = 'x')],
    [/^actor.user.login: unknown/, (event) => (at(event, 'actor', 'user')['login'] = 'x')],
    [/^device: only in profile host$/, (event) => (event['device'] = { type_id: 0, name: 'x' })],
    [/^action: only in profile/, (event) => (at(event, 'metadata')['profiles'] = [])],
    [/^metadata.profiles: no/, (event) => (at(event, 'metadata')['profiles'] = ['network_proxy'])],
    [/^action_id: 7 is not in/, (event) => (event['action_id'] = 7)],
    [/^severity_id: string, expected/, (event) => (event['severity_id'] = '1')],
    [/^time: number, expected timestamp_t$/, (event) => (event['time'] = 1.5)],
    [/^is_alert: string/, (event) => (event['is_alert'] = 'yes')],
    [
      /^src_endpoint.ip: '300.1.1.1' does/,
      (event) => (at(event, 'src_endpoint')['ip'] = '300.1.1.1'),
    ],
    [/^src_endpoint.ip: over 40/, (event) => (at(event, 'src_endpoint')['ip'] = '1'.repeat(41))],
    [/^src_endpoint.port: not in 0/, (event) => (at(event, 'src_endpoint')['port'] = 70_000)],
    [/^src_endpoint: none|^src_endpoint\.: none/, (event) => (event['src_endpoint'] = {})],
    [/^actor\.: none of/, (event) => (event['actor'] = {})],
    [/^resources: no array$/, (event) => (event['resources'] = {})],
    [/^resources\[0\]\.: none of/, (event) => (event['resources'] = [{}])],
    [/^api: no object$/, (event) => (event['api'] = 'GetAccount')],
    [/^type_uid: 600301, expected/, (event) => (event['type_uid'] = 600_301)],
    [/^category_uid: 3, expected 6/, (event) => (event['category_uid'] = 3)],
    [/^class_uid: no class 9999$/, (event) => (event['class_uid'] = 9999)],
    [/^metadata.version$/, (event) => (at(event, 'metadata')['version'] = '1.7.0')],
    [/^action: 'Denied', expected 'Allowed'/, (event) => (event['action'] = 'Denied')],
    [/object 'firewall_rule' is not/, (event) => (event['firewall_rule'] = {})],
  ];
  for (const [expected, mutate] of mutations) {
    const mutated = structuredClone(good) as Loose;
    mutate(mutated);
    expect({ expected, found: ocsfProblems(ocsf, mutated).join('\n') }).toEqual({
      expected,
      found: expect.stringMatching(new RegExp(expected, 'm')),
    });
  }
  // just_one, which API Activity does not have.
  const issued = toOcsf(eventOf({ kind: 'administration', action: 'token-issued', by: 'x' }));
  const both = { ...sent(issued), group: { name: 'x' } };
  expect(ocsfProblems(ocsf, both)).toEqual([': not just one of privileges,group']);
});

withSchema('a reading of the record is a read, and a refused one failed', () => {
  const ocsf = schema();
  const by = 'spiffe://bank.example/workload/audit-desk';
  const said = (action: string, more: object = {}) => {
    const event = sent(toOcsf(eventOf({ kind: 'administration', action, by, ...more })));
    expect(ocsfProblems(ocsf, event)).toEqual([]);
    const { activity_id, status_id, severity, entity } = event as Loose;
    return { activity_id, status_id, severity, entity };
  };
  expect(said('record-read')).toEqual({
    ...{ activity_id: 2, status_id: 1, severity: 'Informational' },
    entity: { name: 'record', type_id: 99, type: 'record' },
  });
  expect(said('record-read-refused', { target: 'edge' })).toEqual({
    ...{ activity_id: 2, status_id: 2, severity: 'Low' },
    entity: { name: 'edge', type_id: 99, type: 'record', uid: 'edge' },
  });
});

test('a permit is allowed, a refusal denied, and what shadow would have refused observed', () => {
  const control = (more: object) => {
    const { action_id, disposition_id, status_id, message } = toOcsf(
      eventOf({ ...decision('d'), ...more }),
    );
    return { action_id, disposition_id, status_id, message };
  };
  expect(control({})).toEqual({
    ...{ action_id: 1, disposition_id: 1, status_id: 1 },
    message: 'permitted: policy-permits',
  });
  expect(control({ effect: 'deny', reason: 'policy-forbids' })).toEqual({
    ...{ action_id: 2, disposition_id: 2, status_id: 2 },
    message: 'denied: policy-forbids',
  });
  expect(control({ effect: 'deny', reason: 'token-expired' })).toMatchObject({
    ...{ action_id: 2, disposition_id: 26 },
  });
  expect(control({ effect: 'challenge', reason: 'evidence-insufficient' })).toMatchObject({
    ...{ action_id: 2, disposition_id: 23 },
  });
  const shadow = { effect: 'deny', enforced: false, mode: 'shadow', reason: 'policy-forbids' };
  expect(control(shadow)).toEqual({
    ...{ action_id: 3, disposition_id: 17, status_id: 1 },
    message: 'would have been denied: policy-forbids',
  });
});

test('an exported event leads to its place in the log and to the other events of its exchange', () => {
  const [decided, answered, ended] = [decision('x'), outcome('x'), closure('x')].map((body, seq) =>
    toOcsf(eventOf(body, seq)),
  );
  expect(decided?.metadata).toMatchObject({
    version: OCSF_VERSION,
    uid: 'bank.example/edge/0',
    sequence: 0,
    log_name: 'bank.example/edge',
    correlation_uid: 'x',
  });
  expect([answered, ended].map((event) => event?.metadata['correlation_uid'])).toEqual(['x', 'x']);
  expect(ended?.metadata).toMatchObject({ uid: 'bank.example/edge/2', sequence: 2 });
});

test('with the bytes of the entry the leaf hash is told, with which a proof of inclusion begins', () => {
  const entry = encode(decision('x'), { origin: 'o', seq: 3 });
  const { unmapped } = toOcsf(eventOf(decision('x')), { entry, productVersion: '0.1.0' });
  expect(unmapped['leafHash']).toBe(Buffer.from(leafHash(entry)).toString('base64'));
});

test('what OCSF has no word for is unmapped by its own name, and the Cedar context stays in the log', () => {
  const more = { mode: 'shadow', evidence: 'E2', txn: 't', actors: ['a'], factsAgeMs: 12 };
  const secret = { context: { amount: 'secret-amount' } };
  const written = toOcsf(eventOf({ ...decision('x'), ...more, ...secret, method: 'PROPFIND' }));
  expect(written.unmapped).toMatchObject({ ...more, method: 'PROPFIND', factSequence: 7 });
  expect(JSON.stringify(written)).not.toContain('secret-amount');
  expect(written).toMatchObject({ activity_id: 99, activity_name: 'PROPFIND' });
});

test('a replayed event says so, and one that happened does not', () => {
  expect(toOcsf(eventOf({ ...decision('x'), replayed: true })).metadata['labels']).toEqual([
    'replayed',
  ]);
  expect(toOcsf(eventOf(decision('x'))).metadata['labels']).toBeUndefined();
});

test('the same event is the same bytes each time', () => {
  for (const event of tour) {
    expect(JSON.stringify(toOcsf(event))).toBe(JSON.stringify(toOcsf(structuredClone(event))));
  }
});

type Loose = Record<string, unknown>;

const asked = {
  surface: 'accounts',
  subject: 'spiffe://bank.example/partner/ledgerly',
  ip: '127.0.0.1',
  action: 'GetAccount',
  resource: { type: 'Accounts::Account', id: '22289' },
};

function eventOf(body: Record<string, unknown>, seq = 5): Event {
  return parseEvent({ v: 1, id: 'x', at: NOW, origin: 'bank.example/edge', seq, ...body });
}

/** As a sink gets it: what JSON leaves out is not there. */
function sent(event: OcsfEvent): OcsfEvent {
  return JSON.parse(JSON.stringify(event));
}

function at(event: Loose, ...path: readonly string[]): Loose {
  return path.reduce((value, name) => value[name] as Loose, event);
}
