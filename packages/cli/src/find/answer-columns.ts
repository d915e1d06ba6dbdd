import type { AnswerRow } from '@countersign/audit';

/** What a table of answers says of each event, in this order; empty where an event has none. */
export const COLUMNS = [
  'at',
  'log',
  'index',
  'kind',
  'effect',
  'reason',
  'surface',
  'action',
  'resourceType',
  'resourceId',
  'subject',
  'actors',
  'caller',
  'session',
  'txn',
  'policies',
  'status',
  'detail',
  'id',
  'origin',
  'leafHash',
] as const;

/** A cell of each of {@link COLUMNS}. */
export type Cells = Readonly<Record<(typeof COLUMNS)[number], string>>;

/** An answer's row as cells. */
export function cellsOf({ log, origin, index, leafHash, event }: AnswerRow): Cells {
  const loose = event as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const value = loose[name];
    if (value === undefined) return '';
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  };
  const list = (name: string): string => ((loose[name] as string[] | undefined) ?? []).join(' ');
  const resource = loose['resource'] as { type: string; id: string } | undefined;
  return {
    at: new Date(event.at).toISOString(),
    ...{ log, origin, leafHash },
    index: String(index),
    kind: event.kind,
    effect: event.kind === 'authentication' ? event.result : text('effect'),
    reason: event.kind === 'closure' ? event.cause : text('reason'),
    surface: text('surface'),
    action: text('action') || text('alarm') || (event.kind === 'signal' ? event.type : ''),
    resourceType: resource?.type ?? '',
    resourceId: resource?.id ?? text('target'),
    subject: event.kind === 'administration' ? event.by : text('subject'),
    actors: list('actors'),
    caller: text('caller'),
    session: text('session'),
    txn: text('txn'),
    policies: list('policies'),
    status: text('status'),
    detail: text('detail') || text('failure'),
    id: event.id,
  };
}
