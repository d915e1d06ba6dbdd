import { type OpenRecordKeys, revealEvent } from '@countersign/audit';
import { ModelError } from '@countersign/model';
import type { Found } from './found.ts';

/** What was found, its persons by their names where their keys are still there. */
export function withNames(found: Found, keys: OpenRecordKeys): Found {
  const rows = found.answer.rows.map((row) => {
    try {
      return { ...row, ...revealEvent(row.event, keys) };
    } catch (error) {
      // Its point sealed what makes no event; as it stands in the log it can still be read.
      if (error instanceof ModelError) return row;
      throw error;
    }
  });
  return { ...found, answer: { ...found.answer, rows } };
}
