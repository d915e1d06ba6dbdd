import { type OpenRecordKeys, revealEvent } from '@countersign/audit';
import type { Found } from './found.ts';

/** What was found, its persons by their names where their keys are still there. */
export function withNames(found: Found, keys: OpenRecordKeys): Found {
  const rows = found.answer.rows.map((row) => ({ ...row, ...revealEvent(row.event, keys) }));
  const closed = rows.filter((row) => row.closed.length > 0).length;
  return { ...found, answer: { ...found.answer, rows }, ...(closed > 0 && { closed }) };
}
