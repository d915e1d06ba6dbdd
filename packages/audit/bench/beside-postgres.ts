import type { Event } from '@countersign/model';
import { findPostgres, startPostgres } from '@countersign/test-support/postgres';
import type pg from 'pg';
import { SAMPLE } from './bank-traffic.ts';

const BATCH = 5000;
const DAY_MS = 86_400_000;

const SCHEMA = `
  create table event (idx bigint primary key, at bigint not null, kind text, effect text, surface text,
    who text[], resource text, txn text, policies text[], body jsonb);
  create index on event (resource, at);
  create index on event (txn);
  create index on event (surface, at) where effect in ('deny', 'challenge');
  create index on event using gin (who);
  create index on event using gin (policies);
  create index on event (at);`;

type Ask = (run: number) => { readonly sql: string; readonly values: readonly unknown[] };

/** The same events and questions in a table with an index for each question; without PostgreSQL it says so. */
export async function besidePostgres(options: {
  readonly traffic: Iterable<Event>;
  readonly events: number;
  readonly startMs: number;
  readonly transactions: readonly string[];
  readonly runs: number;
  readonly print: (text: string) => void;
}): Promise<void> {
  const { traffic, events, startMs, transactions, runs, print } = options;
  const bin = findPostgres();
  if (bin === undefined) {
    print('\nPostgreSQL is not installed: no peer in this run');
    return;
  }
  const server = await startPostgres(bin);
  try {
    const client = await server.connect();
    await client.query(SCHEMA);
    const started = performance.now();
    await fill(client, traffic);
    const seconds = (performance.now() - started) / 1000;
    await client.query('vacuum analyze event');
    const { rows } = await client.query("select pg_total_relation_size('event') bytes");
    print(
      `\nPostgreSQL, ${events.toLocaleString('en')} events, fsync off: ${Math.round(events / seconds).toLocaleString('en')} events/s, ${(rows[0].bytes / events).toFixed(0)} bytes an event`,
    );
    const asks = questions(startMs, transactions);
    for (const [name, ask] of Object.entries(asks))
      await measure(client, { name, ask, runs, print });
    await client.end();
  } finally {
    await server.stop();
  }
}

function questions(
  startMs: number,
  transactions: readonly string[],
): Readonly<Record<string, Ask>> {
  const page = (where: string) =>
    `select count(*) over () as all_of_them, body from event where ${where} order by at desc, idx desc limit 50`;
  return {
    'who touched this customer': (run) => ({
      sql: page('resource = $1'),
      values: [SAMPLE.customer(run * 4999 + 7)],
    }),
    'what did this agent do within 6 hours': (run) => ({
      sql: page('who @> array[$1] and at >= $2 and at < $3'),
      values: [
        SAMPLE.agent(run % 50),
        startMs + run * 2 * DAY_MS,
        startMs + run * 2 * DAY_MS + DAY_MS / 4,
      ],
    }),
    'all denials of a surface': (run) => ({
      sql: page("surface = $1 and effect in ('deny', 'challenge')"),
      values: [['accounts', 'rates', 'cards', 'core'][run % 4]],
    }),
    'every use of break-glass': () => ({
      sql: page("policies @> array['ops-break-glass']"),
      values: [],
    }),
    'everything under one transaction': (run) => ({
      sql: page('txn = $1'),
      values: [transactions[run % transactions.length]],
    }),
    'all decisions': () => ({ sql: page("kind = 'decision'"), values: [] }),
  };
}

async function fill(client: pg.Client, traffic: Iterable<Event>): Promise<void> {
  const sql = `insert into event select (e->>'seq')::bigint, (e->>'at')::bigint, e->>'kind', e->>'effect', e->>'surface',
    array_remove(array[e->>'subject', e->'actors'->>0, e->>'caller'], null), e->'resource'->>'id', e->>'txn',
    array(select jsonb_array_elements_text(e->'policies')), e from jsonb_array_elements($1::jsonb) e`;
  let batch: Event[] = [];
  for (const event of traffic) {
    batch.push(event);
    if (batch.length < BATCH) continue;
    await client.query(sql, [JSON.stringify(batch)]);
    batch = [];
  }
  if (batch.length > 0) await client.query(sql, [JSON.stringify(batch)]);
}

async function measure(
  client: pg.Client,
  options: {
    readonly name: string;
    readonly ask: Ask;
    readonly runs: number;
    readonly print: (text: string) => void;
  },
): Promise<void> {
  const { name, ask, runs, print } = options;
  const took: number[] = [];
  let rows = 0;
  for (let run = 0; run < runs; run++) {
    const { sql, values } = ask(run);
    const started = performance.now();
    const answer = await client.query(sql, [...values]);
    took.push(performance.now() - started);
    rows += Number(answer.rows[0]?.all_of_them ?? 0);
  }
  const [first = 0] = took;
  took.sort((a, b) => a - b);
  const at = (share: number): string =>
    (took[Math.ceil(share * runs) - 1] ?? 0).toFixed(1).padStart(7);
  const mean = Math.round(rows / runs).toLocaleString('en');
  print(
    `${name.padEnd(42)}${mean.padStart(12)}${first.toFixed(1).padStart(7)}${at(0.5)}${at(0.99)}`,
  );
}
