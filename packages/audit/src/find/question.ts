import type { Event } from '@countersign/model';
import { eventTerms, type Field } from './event-terms.ts';

/** One thing that must hold of an event: that one of the fields has one of the values. */
export interface Condition {
  readonly fields: readonly Field[];
  /**
   * Exact values. Of a `subject`, `actor`, `caller` or `target` the path alone will do (`partner/ledgerly`): it
   * is taken in the trust domains of the logs that are asked.
   */
  readonly values: readonly string[];
}

/** Which events are asked for: those of which all conditions hold. */
export interface Question {
  readonly where: readonly Condition[];
  /** Names of logs, of which all shards are asked, or of shards; all when absent. */
  readonly logs?: readonly string[];
  /** Not before this moment, in ms since the epoch. */
  readonly fromMs?: number;
  /** Before this moment. */
  readonly toMs?: number;
}

const NAMED_BY_PATH: ReadonlySet<Field> = new Set(['subject', 'actor', 'caller', 'target']);

/** The question with every name that is only a path in each of the trust domains. */
export function withDomains(question: Question, trustDomains: readonly string[]): Question {
  const where = question.where.map((condition) => {
    if (!condition.fields.some((field) => NAMED_BY_PATH.has(field))) return condition;
    const values = condition.values.flatMap((value) =>
      value.startsWith('spiffe://')
        ? [value]
        : [value, ...trustDomains.map((domain) => `spiffe://${domain}/${value}`)],
    );
    return { ...condition, values: [...new Set(values)] };
  });
  return { ...question, where };
}

/** Whether an event is among those that are asked for; the log that it stands in is not looked at. */
export function matchesQuestion(event: Event, question: Question): boolean {
  const { where, fromMs, toMs } = question;
  if (fromMs !== undefined && event.at < fromMs) return false;
  if (toMs !== undefined && event.at >= toMs) return false;
  if (where.length === 0) return true;
  const open = new Set(where);
  eventTerms(event, (field, value) => {
    for (const condition of open) {
      if (condition.fields.includes(field) && condition.values.includes(value)) {
        open.delete(condition);
      }
    }
  });
  return open.size === 0;
}
