import type { Dialect } from './dialect.ts';
import { Sql, type SqlParameter, type SqlParameterValue } from './sql.ts';
import { Untranslatable } from './untranslatable.ts';

/** SQLite takes no more than 32,766 in one statement, of which the caller needs some. */
export const PARAMETERS_MAX = 30_000;

/**
 * Writes SQL out.
 *
 * @param before how many parameters the statement has before these
 * @throws {Untranslatable} when there are more parameters than databases take
 */
export function renderSql(
  sql: Sql,
  dialect: Dialect,
  before: number,
): { readonly sql: string; readonly parameters: readonly SqlParameterValue[] } {
  const texts: string[] = [];
  const parameters: SqlParameterValue[] = [];
  const positions = new Map<string, number>();

  function positionOf(parameter: SqlParameter): number {
    const known = dialect.isNumbered ? positions.get(parameter.key) : undefined;
    if (known !== undefined) return known;
    if (parameters.length >= PARAMETERS_MAX) {
      throw new Untranslatable(`the SQL would need more than ${PARAMETERS_MAX} parameters`);
    }
    parameters.push(parameter.value);
    const position = before + parameters.length;
    positions.set(parameter.key, position);
    return position;
  }

  function write(piece: Sql): void {
    for (const part of piece.parts) {
      if (typeof part === 'string') texts.push(part);
      else if (part instanceof Sql) write(part);
      else texts.push(dialect.placeholder(positionOf(part), part.cast));
    }
  }

  write(sql);
  return { sql: texts.join(''), parameters };
}
