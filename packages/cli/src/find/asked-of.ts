import type { Field } from '@countersign/audit';
import { reasonShape } from '../authority/reason-shape.ts';
import { type Arguments, UsageError } from '../command-line/command.ts';
import { oneOf, wholeNumber } from '../command-line/words.ts';
import { nameOfCopied } from '../record/find-logs.ts';
import { EVENT_KINDS } from '../record/run-events.ts';
import { momentOf } from './moment.ts';
import type { RecordQuestion } from './record-question.ts';

/** Options that name values of one field, or of any of several. */
const CONDITIONS: Readonly<Record<string, readonly Field[]>> = {
  who: ['subject', 'actor', 'caller'],
  subject: ['subject'],
  actor: ['actor'],
  caller: ['caller'],
  'resource-type': ['resourceType'],
  surface: ['surface'],
  action: ['action'],
  policy: ['policy'],
  effect: ['effect'],
  reason: ['reason'],
  session: ['session'],
  txn: ['txn'],
  id: ['id'],
  target: ['target'],
};

/** What counts as a denial: of a decision, and of a credential. */
const DENIALS = ['deny', 'challenge', 'refused'];

/** The question that the words of a command make. */
export function askedOf(args: Arguments, nowMs: number): RecordQuestion {
  const where: RecordQuestion['where'] = [];
  for (const [option, fields] of Object.entries(CONDITIONS)) {
    const values = args.texts(option);
    if (values.length > 0) where.push({ fields: [...fields], values: [...values] });
  }
  const kinds = args.texts('kind').map((word) => oneOf('kind', word, EVENT_KINDS));
  if (kinds.length > 0) where.push({ fields: ['kind'], values: kinds });
  const resources = args.texts('resource');
  if (resources.length > 0) {
    // A type has colons in it, the id of a resource seldom: both meanings are asked for.
    where.push({ fields: ['resource', 'resourceId'], values: [...resources] });
  }
  if (args.flag('denied')) where.push({ fields: ['effect'], values: DENIALS });
  if (args.flag('break-glass')) where.push({ fields: ['mark'], values: ['break-glass'] });
  const moment = (name: string): number | undefined => {
    const text = args.text(name);
    return text === undefined ? undefined : momentOf(name, text, nowMs);
  };
  const [fromMs, toMs] = [moment('from'), moment('to')];
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    throw new UsageError('found --from not before --to, expected a time between them');
  }
  // The index has each log once, and other commands call the copy 'edge (collected)'.
  const logs = new Set(args.texts('log').map(nameOfCopied));
  const cursor = args.text('cursor');
  const names = args.text('names');
  const limit = args.flag('count') ? 0 : (wholeNumber(args, 'limit', { min: 1, max: 1000 }) ?? 50);
  return {
    where,
    ...(logs.size > 0 && { logs: [...logs] }),
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs }),
    order: args.flag('oldest') ? 'oldest' : 'newest',
    limit,
    ...(cursor !== undefined && { cursor }),
    isComplete: args.flag('complete'),
    ...(names !== undefined && { resolve: { reason: reasonOf(names) } }),
  };
}

/** Why names are shown, as the record keeps it. */
export function reasonOf(text: string): string {
  const reason = reasonShape.safeParse(text);
  if (reason.success) return reason.data;
  throw new UsageError(`found --names '${text}', expected ${reason.error.issues[0]?.message}`);
}
