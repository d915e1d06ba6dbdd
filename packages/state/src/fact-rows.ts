import { type Fact, type FactChange, parseFact } from '@countersign/model';
import type { Kysely } from 'kysely';

/** The tables of the history of facts. */
export interface HistoryTables {
  /** One row a key that a change put (`body` is JSON) or removed (`body` is null). */
  fact_history: {
    sequence: number;
    position: number;
    at_ms: number;
    key: string;
    body: string | null;
  };
  fact_domain: { trust_domain: string };
}

/** A fact as the history holds it. */
export interface KeptFact {
  readonly key: string;
  readonly fact: Fact;
  readonly body: string;
}

/** What was true at `sequence`: of each key the last row up to it, unless that removed it. Sorted by key. */
export async function factsUpTo(
  tables: Kysely<HistoryTables>,
  sequence: number,
): Promise<readonly KeptFact[]> {
  const rows = await tables
    .selectFrom('fact_history as row')
    .innerJoin(
      (last) =>
        last
          .selectFrom('fact_history')
          .select(['key', (count) => count.fn.max('sequence').as('sequence')])
          .where('sequence', '<=', sequence)
          .groupBy('key')
          .as('last'),
      (join) => join.onRef('last.key', '=', 'row.key').onRef('last.sequence', '=', 'row.sequence'),
    )
    .select(['row.key', 'row.body'])
    .where('row.body', 'is not', null)
    .orderBy('row.key')
    .execute();
  return rows.map(({ key, body }) => ({
    key,
    fact: parseFact(JSON.parse(body as string)),
    body: body as string,
  }));
}

/** The changes after `from` up to and with `to`, oldest first. */
export async function changesBetween(
  tables: Kysely<HistoryTables>,
  from: number,
  to: number,
): Promise<readonly FactChange[]> {
  const rows = await tables
    .selectFrom('fact_history')
    .select(['sequence', 'at_ms', 'key', 'body'])
    .where('sequence', '>', from)
    .where('sequence', '<=', to)
    .orderBy('sequence')
    .orderBy('position')
    .execute();
  const changes: {
    sequence: number;
    atMs: number;
    puts: Fact[];
    removes: string[];
  }[] = [];
  for (const { sequence, at_ms, key, body } of rows) {
    let change = changes.at(-1);
    if (change?.sequence !== sequence) {
      change = { sequence, atMs: at_ms, puts: [], removes: [] };
      changes.push(change);
    }
    if (body === null) change.removes.push(key);
    else change.puts.push(parseFact(JSON.parse(body)));
  }
  return changes;
}
