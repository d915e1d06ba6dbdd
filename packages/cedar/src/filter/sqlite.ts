import type { Dialect } from './dialect.ts';
import { identifier, integer, join, Sql, SqlParameter, sql } from './sql.ts';
import { Untranslatable } from './untranslatable.ts';

/** Up to this many, a list is spelt out; beyond, it travels as one JSON text. */
const SPELT_MAX = 16;

/** Pieces between two wildcards: each doubles the SQL. */
const MIDDLE_PIECES_MAX = 6;

/**
 * SQLite 3.38 and later, databases in UTF-8.
 *
 * Integers that overflow turn into REAL and stay so, which tells an overflow at the end. `LIKE` ignores case
 * and `GLOB` ends at a NUL, so patterns are compared as bytes: in UTF-8 that is the same.
 */
export const sqlite: Dialect = {
  name: 'SQLite',
  hasArrays: false,
  hasAddresses: false,
  placeholder: () => '?',
  isNumbered: false,

  stored: (column) => column,
  condition: (column) => sql`${column} = 1`,

  canHold: (text) => text.isWellFormed(),
  text: (value) => sql`${new SqlParameter(value, 'text')}`,
  long: (value) => sql`${new SqlParameter(BigInt(value), 'integer')}`,
  address() {
    throw new Untranslatable('SQLite has no type for addresses');
  },

  equalTexts: (left, right) => sql`${left} COLLATE BINARY = ${right}`,
  isOneOfTexts(text, values) {
    if (values.length > SPELT_MAX) {
      const list = new SqlParameter(JSON.stringify(values), 'text');
      return sql`${text} COLLATE BINARY IN (SELECT "value" FROM json_each(${list}))`;
    }
    return sql`${text} COLLATE BINARY IN (${join(values.map(this.text), ', ')})`;
  },
  isOneOfLongs(long, values) {
    if (values.length > SPELT_MAX) {
      const list = new SqlParameter(`[${values.join()}]`, 'text');
      return sql`${long} IN (SELECT "value" FROM json_each(${list}))`;
    }
    return sql`${long} IN (${join(values.map(this.long), ', ')})`;
  },
  exactText: (text) => sql`${text} COLLATE BINARY`,
  like: (text, pieces) => matches(sql`CAST(${text} AS BLOB)`, pieces),

  arithmetic(operator, left, right) {
    const value = new Sql(['(', exact(left), ` ${operator} `, exact(right), ')']);
    return { value, isInRange: sql`typeof(${value}) = 'integer'` };
  },
  divide: (value, divisor) => sql`(${value} / ${integer(divisor)})`,
  modulo: (value, divisor) =>
    sql`(((${value} % ${integer(divisor)}) + ${integer(divisor)}) % ${integer(divisor)})`,

  elements(column, { alias }) {
    return {
      from: sql`json_each(${column}) AS ${identifier(alias)}`,
      value: identifier(alias, 'value'),
    };
  },

  addressTest() {
    throw new Untranslatable('SQLite has no type for addresses');
  },
  isInRange() {
    throw new Untranslatable('SQLite has no type for addresses');
  },
};

/**
 * An operand that is an integer however it is bound. Whoever has a filter's parameters from JSON binds numbers, which
 * reach SQLite as REAL: each sum would look like an overflow, and a forbid that fails is skipped.
 */
function exact(operand: Sql): Sql {
  const [only] = operand.parts;
  const isParameter = operand.parts.length === 1 && only instanceof SqlParameter;
  return isParameter ? sql`CAST(${operand} AS INTEGER)` : operand;
}

/** Whether bytes start with the first piece, end with the last, and have the others between them, in order. */
function matches(bytes: Sql, pieces: readonly string[]): Sql {
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  const middle = pieces.slice(1, -1).filter((piece) => piece !== '');
  if (middle.length > MIDDLE_PIECES_MAX) {
    throw new Untranslatable(
      `SQLite would need too long a text for a pattern with more than ${MIDDLE_PIECES_MAX} texts between wildcards`,
    );
  }
  const tests: Sql[] = [];
  const edges = byteLength(first) + byteLength(last);
  if (edges > 0) tests.push(sql`length(${bytes}) >= ${integer(edges)}`);
  if (first !== '') {
    tests.push(sql`substr(${bytes}, 1, ${integer(byteLength(first))}) = ${blob(first)}`);
  }
  if (last !== '') {
    tests.push(sql`substr(${bytes}, ${integer(-byteLength(last))}) = ${blob(last)}`);
  }
  // Leftmost matches leave most for the rest, so no going back is ever needed.
  let rest =
    edges === 0
      ? bytes
      : sql`substr(${bytes}, ${integer(byteLength(first) + 1)}, length(${bytes}) - ${integer(edges)})`;
  for (const [index, piece] of middle.entries()) {
    const position = sql`instr(${rest}, ${blob(piece)})`;
    tests.push(sql`${position} > 0`);
    if (index < middle.length - 1) {
      rest = sql`substr(${rest}, ${position} + ${integer(byteLength(piece))})`;
    }
  }
  return tests.length === 0 ? new Sql(['TRUE']) : sql`(${join(tests, ' AND ')})`;
}

function blob(text: string): Sql {
  return sql`CAST(${new SqlParameter(text, 'text')} AS BLOB)`;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
