import { join } from 'node:path';
import type { LogSource } from '@countersign/audit';
import { type Log, nodeDisk, openLog } from '@countersign/ledger';
import { EVENT_VERSION, type Event, encodeEvent } from '@countersign/model';
import fc from 'fast-check';
import { NOW, samplePoint } from './points.ts';

const of = <const T>(...values: readonly T[]) => fc.constantFrom(...values);
const id = fc.nat({ max: 40 }).map((number) => `id-${number}`);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const subject = of('partner/ledgerly', 'partner/tally', 'human/alice', 'agent/reconciler/7f3a').map(
  (path) => `spiffe://bank.example/${path}`,
);
const resource = fc.record({
  type: of('Accounts::Account', 'Accounts::Consent', 'Surface'),
  id: of('22289', '31820', 'Account::22289', 'accounts'),
});
const request = {
  surface: maybe(of('accounts', 'payments', 'core')),
  mode: maybe(of('enforce', 'shadow')),
  subject: maybe(subject),
  actors: maybe(fc.array(subject, { maxLength: 2 })),
  caller: maybe(subject),
  session: maybe(of('s-1', 's-2', 's-3')),
  txn: maybe(id),
};

/** What an event says, without its place in a log. */
export type Said = Omit<Event, 'v' | 'origin' | 'seq' | 'at'>;

/** Any event, of few values, so that questions find some. */
export const said = fc.oneof(
  fc.record({
    kind: fc.constant('decision'),
    id,
    ...request,
    effect: of('permit', 'deny', 'challenge'),
    enforced: fc.boolean(),
    reason: of('policy-permits', 'policy-none-permits', 'token-revoked'),
    action: maybe(of('GetAccount', 'DebitAccount', 'BreakGlassRead')),
    resource: maybe(resource),
    resourceParents: maybe(fc.array(resource, { maxLength: 2 })),
    policies: maybe(fc.array(of('partner-reads', 'ops-break-glass', 'admins'), { maxLength: 2 })),
    policyVersion: fc.constant('v1'),
    factSequence: fc.constant(1),
  }),
  fc.record({
    kind: fc.constant('authentication'),
    id,
    ...request,
    result: of('accepted', 'refused', 'would-refuse'),
    reason: of('token-verified', 'token-revoked'),
  }),
  fc.record({
    kind: fc.constant('outcome'),
    id,
    surface: request.surface,
    subject: request.subject,
    session: request.session,
    txn: request.txn,
    status: fc.constant(200),
    forwarded: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('administration'),
    id,
    action: of('bundle-published', 'session-revoked'),
    by: fc.oneof(subject, fc.constant('local:uid=0')),
    target: maybe(of('s-1', '22289')),
  }),
  fc.record({ kind: fc.constant('signal'), id, type: of('session-revoked'), subject, reason: id }),
  fc.record({ kind: fc.constant('alarm'), id, alarm: of('log-gap'), detail: id }),
) as unknown as fc.Arbitrary<Said>;

/** A log of a point with its index beside it, and all that was written to it. */
export interface BankLog {
  readonly source: LogSource;
  readonly log: Log;
  readonly events: Event[];
  /** Appends, in one commit; `at` of the first is after that of the last by `stepMs`, which may be negative. */
  append(said: readonly Said[], stepMs?: number): Promise<void>;
}

/** A log under `root` that questions can be asked of; `byte` makes its key. */
export async function bankLog(
  root: string,
  name: string,
  { byte = 1, segmentBytesMax = 64 * 1024 * 1024 } = {},
): Promise<BankLog> {
  const { origin, signer, registration } = samplePoint(name, byte);
  const folder = join(root, 'logs', name);
  const log = await openLog({
    ...{ origin, signer, segmentBytesMax },
    disk: nodeDisk(folder),
    now: () => NOW,
  });
  const { verifierKey } = registration;
  const source = { name, origin, folder, indexFolder: join(root, 'index', name), verifierKey };
  const events: Event[] = [];
  let at = NOW;
  return {
    ...{ source, log, events },
    async append(many, stepMs = 1000) {
      for (const each of many) {
        at = Math.max(0, at + stepMs);
        const event = { v: EVENT_VERSION, ...each, at, origin, seq: log.nextIndex } as Event;
        // What JSON leaves out is not in the event.
        const bytes = encodeEvent(event);
        events.push(JSON.parse(Buffer.from(bytes).toString()));
        log.append(bytes);
      }
      if (many.length > 0) await log.durable(log.nextIndex - 1);
    },
  };
}
