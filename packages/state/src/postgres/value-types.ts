import pg from 'pg';
import { StateError } from '../state-error.ts';

const BOOL = 16;
const INT8 = 20;
const NUMERIC = 1700;

/** How values come out: as SQLite gives them. What JavaScript cannot count exactly is an error, never a near number. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (format !== 'binary') {
      // Sums of bigint are numeric.
      if (oid === INT8 || oid === NUMERIC) return safeInteger;
      if (oid === BOOL) return (text: string) => (text === 't' ? 1 : 0);
    }
    return pg.types.getTypeParser(oid, format as 'text');
  },
};

function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new StateError(
    'ERR_STATE_QUERY',
    `could not read a number: found ${text.slice(0, 40)}, expected an integer of at most 2^53`,
  );
}
