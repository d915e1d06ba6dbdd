import type { Field, Question } from '@countersign/audit';
import type { Event } from '@countersign/model';
import fc from 'fast-check';
import type { BankLog } from './bank-log.ts';

type Loose = Record<string, unknown> & Event;

/** What an event has of a field, said without looking at how the index says it. */
function valuesOf(event: Loose, field: Field): readonly unknown[] {
  const resources = [event['resource'], ...((event['resourceParents'] as unknown[]) ?? [])].filter(
    (each) => each !== undefined,
  ) as { type: string; id: string }[];
  const policies = (event['policies'] as string[]) ?? [];
  switch (field) {
    case 'actor':
      return (event['actors'] as string[]) ?? [];
    case 'subject':
      return [event.kind === 'administration' ? event['by'] : event['subject']];
    case 'effect':
      return [event.kind === 'authentication' ? event['result'] : event['effect']];
    case 'reason':
      return event.kind === 'signal' ? [] : [event['reason'], event['cause']];
    case 'action':
      return [event['action'], event['alarm'], event.kind === 'signal' ? event['type'] : undefined];
    case 'policy':
      return policies;
    case 'resource':
      return resources.map(({ type, id }) => `${type}::${id}`);
    case 'resourceId':
      return resources.map(({ id }) => id);
    case 'resourceType':
      return resources.map(({ type }) => type);
    case 'mark':
      return /break-glass|BreakGlass/.test(JSON.stringify([policies, event['action'] ?? '']))
        ? ['break-glass']
        : [];
    default:
      return [event[field]];
  }
}

/** All events that are asked for, as `log index`, the oldest first. */
export function bruteForce(logs: readonly BankLog[], question: Question): readonly string[] {
  const { where, fromMs = 0, toMs = Number.POSITIVE_INFINITY } = question;
  return logs
    .filter(({ source }) => question.logs?.includes(source.name) ?? true)
    .flatMap(({ source, events }) => events.map((event) => ({ event, log: source.name })))
    .filter(({ event }) => event.at >= fromMs && event.at < toMs)
    .filter(({ event }) =>
      where.every(({ fields, values }) =>
        fields.some((field) =>
          valuesOf(event as Loose, field).some((has) =>
            values.some((value) => has === value || has === `spiffe://bank.example/${value}`),
          ),
        ),
      ),
    )
    .sort(
      (a, b) =>
        a.event.at - b.event.at ||
        (a.log < b.log ? -1 : a.log > b.log ? 1 : a.event.seq - b.event.seq),
    )
    .map(({ event, log }) => `${log} ${event.seq}`);
}

const any = (fields: readonly Field[], ...values: readonly string[]) =>
  fc.record({
    fields: fc.constant(fields),
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }),
  });

const condition = fc.oneof(
  any(['kind'], 'decision', 'outcome', 'alarm', 'administration', 'nothing'),
  any(['subject'], 'partner/ledgerly', 'spiffe://bank.example/human/alice', 'local:uid=0'),
  any(['subject', 'actor', 'caller'], 'partner/tally', 'agent/reconciler/7f3a', 'human/bob'),
  any(['actor'], 'agent/reconciler/7f3a'),
  any(['surface'], 'accounts', 'core', 'lending'),
  any(['mode'], 'shadow'),
  any(['effect'], 'deny', 'challenge', 'refused'),
  any(['reason'], 'token-revoked', 'policy-permits'),
  any(['action'], 'GetAccount', 'session-revoked', 'log-gap'),
  any(['policy'], 'admins', 'ops-break-glass'),
  any(['resource'], 'Accounts::Account::22289', 'Surface::accounts'),
  any(['resourceId'], '22289', 'Account::22289', 'none'),
  any(['resourceType'], 'Accounts::Consent', 'Surface'),
  any(['target'], 's-1'),
  any(['session'], 's-1', 's-2'),
  any(['txn'], 'id-1', 'id-2', 'id-3'),
  any(['id'], 'id-4', 'id-5'),
  any(['mark'], 'break-glass'),
);

/** Any question, in a time around `startMs`. */
export const anyQuestion = (startMs: number, spanMs: number): fc.Arbitrary<Question> =>
  fc.record(
    {
      where: fc.array(condition, { maxLength: 3 }),
      logs: fc.uniqueArray(fc.constantFrom('gateway', 'sidecar'), { minLength: 1 }),
      fromMs: fc.integer({ min: startMs, max: startMs + spanMs }),
      toMs: fc.integer({ min: startMs, max: startMs + spanMs }),
    },
    { requiredKeys: ['where'] },
  ) as fc.Arbitrary<Question>;
