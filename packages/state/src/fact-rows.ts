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
  /** One row: the last time that a process vouched for the facts; only where there are several. */
  fact_vouched: { id: number; at_ms: number };
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

/** What a process that knows the changes up to `sequence` has missed. */
export interface News {
  /** The change with that sequence as it is now; absent when there is none. */
  readonly known?: { readonly atMs: number; readonly key: string };
  readonly changes: readonly KeptChange[];
  /** The last time that somebody vouched for; 0 if nobody did. */
  readonly vouchedMs: number;
}

/** A change as the history holds it. */
export interface KeptChange {
  readonly sequence: number;
  readonly atMs: number;
  readonly rows: readonly { readonly key: string; readonly body: string | null }[];
}

/** All in one statement, so that the answers are of one moment. */
export async function newsAfter(tables: Kysely<HistoryTables>, sequence: number): Promise<News> {
  const rows = await tables
    .selectFrom('fact_history')
    .select(['sequence', 'position', 'at_ms', 'key', 'body'])
    .where('sequence', '>', sequence)
    .unionAll((more) =>
      more
        .selectFrom('fact_history')
        .select(['sequence', 'position', 'at_ms', 'key'])
        .select(({ lit }) => lit(null).$castTo<string | null>().as('body'))
        .where('sequence', '=', sequence)
        .where('position', '=', 0),
    )
    .unionAll((more) =>
      more
        .selectFrom('fact_vouched')
        .select(({ lit, ref }) => [
          lit(-1).as('sequence'),
          lit(0).as('position'),
          ref('at_ms').as('at_ms'),
          lit(null).$castTo<string>().as('key'),
          lit(null).$castTo<string | null>().as('body'),
        ]),
    )
    .orderBy('sequence')
    .orderBy('position')
    .execute();
  const changes: {
    sequence: number;
    atMs: number;
    rows: { key: string; body: string | null }[];
  }[] = [];
  let known: News['known'];
  let vouchedMs = 0;
  for (const { sequence: of, at_ms: atMs, key, body } of rows) {
    if (of === -1) vouchedMs = atMs;
    else if (of === sequence) known = { atMs, key };
    else if (changes.at(-1)?.sequence === of) changes.at(-1)?.rows.push({ key, body });
    else changes.push({ sequence: of, atMs, rows: [{ key, body }] });
  }
  return { ...(known && { known }), changes, vouchedMs };
}

/** Says that the facts were current at that time. */
export async function writeVouched(tables: Kysely<HistoryTables>, atMs: number): Promise<void> {
  await tables
    .insertInto('fact_vouched')
    .values({ id: 1, at_ms: atMs })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ at_ms: atMs }))
    .execute();
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
