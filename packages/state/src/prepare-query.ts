import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Database, Transaction } from './database.ts';

/** A query that is put together once; only the values in it are others each time. */
export interface PreparedQuery<Values, Row> {
  /** Runs it and returns its rows. */
  run(on: Database | Transaction, values: Values): Promise<Row[]>;
}

/** Stands for a value while a query is built. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * Prepares what is asked thousands of times a second: to put a statement together takes several times as long as SQLite takes for a row.
 *
 * @param build builds the query, once for each engine. The members of `values` have no value then: each may be handed to the
 *   builder, and nothing else be done with it
 */
export function prepareQuery<Tables, Values extends object, Row>(
  build: (tables: Kysely<Tables>, values: Values) => Compilable<Row>,
): PreparedQuery<Values, Row> {
  const compiled = new Map<Database['engine'], CompiledQuery<Row>>();
  const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) }) as Values;
  return {
    async run(on, values) {
      const tables = on.tables<Tables>();
      let query = compiled.get(on.engine);
      if (query === undefined) {
        query = build(tables, placeholders).compile();
        compiled.set(on.engine, query);
      }
      const parameters = query.parameters.map((each) =>
        each instanceof Placeholder ? values[each.name as keyof Values] : each,
      );
      const { rows } = await tables.executeQuery<Row>({ ...query, parameters });
      return rows;
    },
  };
}
