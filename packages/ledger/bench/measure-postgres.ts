import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findPostgres, startPostgres } from '@countersign/test-support/postgres';
import type pg from 'pg';
import { type Figures, figures } from './figures.ts';
import { ENTRY_BYTES } from './measure-log.ts';

/** How events get into PostgreSQL: many in one command, one by one, or chained by hashes in a trigger. */
export const WAYS = {
  copy: 'COPY of 500 rows per commit, 1 connection (psql)',
  unnest: 'INSERT … unnest of 500 rows per commit, 1 connection',
  single: 'INSERT of one row per commit, 16 connections',
  chain: 'hash chain by a trigger, 500 rows per commit',
} as const;

const ROWS = 500;
const CONNECTIONS = 16;
const TICKS_PER_SECOND = 100;

const TABLES = `
  CREATE TABLE event (id bigserial PRIMARY KEY, at bigint, kind text, subject text, body bytea);
  CREATE INDEX ON event (subject, at);
  CREATE INDEX ON event (kind, at);
  CREATE INDEX ON event (at);
  CREATE TABLE chained (id bigserial PRIMARY KEY, body bytea, hash bytea);
  CREATE TABLE head (hash bytea);
  INSERT INTO head VALUES ('');
  CREATE FUNCTION chain() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE head SET hash = sha256(hash || NEW.body) RETURNING hash INTO NEW.hash;
    RETURN NEW;
  END $$;
  CREATE TRIGGER chain BEFORE INSERT ON chained FOR EACH ROW EXECUTE FUNCTION chain();`;

/** Nothing where PostgreSQL is not installed. Every commit waits for the disk. */
export async function measurePostgres(
  seconds: number,
): Promise<{ readonly [Way in keyof typeof WAYS]: Figures } | undefined> {
  const bin = findPostgres();
  if (bin === undefined) return undefined;
  const server = await startPostgres(bin, { isDurable: true });
  const clients: pg.Client[] = [];
  try {
    for (let count = 0; count < CONNECTIONS; count += 1) clients.push(await server.connect());
    const [first] = clients as [pg.Client];
    await first.query(TABLES);
    const bodies = Array.from({ length: ROWS }, () => randomBytes(ENTRY_BYTES));
    const subjects = bodies.map((_, at) => `spiffe://bank.example/human/u${at % 97}`);
    const many = (name: string, text: string, values: unknown[]) => () =>
      first.query({ name, text, values });
    const run = (ask: (() => Promise<unknown>)[], rows: number) =>
      measure([server.pid], { seconds, rows, ask });
    const copier = startCopier(join(bin, 'psql'), server.folder, copyText(subjects, bodies));
    return {
      copy: await measure([server.pid, copier.pid], {
        seconds,
        rows: ROWS,
        ask: [copier.copy],
      }).finally(copier.end),
      unnest: await run(
        [
          many(
            'unnest',
            `INSERT INTO event (at, kind, subject, body)
             SELECT 1, 'decision', * FROM unnest($1::text[], $2::bytea[])`,
            [subjects, bodies],
          ),
        ],
        ROWS,
      ),
      single: await run(
        clients.map((client, at) => () => {
          const text = `INSERT INTO event (at, kind, subject, body) VALUES (1, 'decision', $1, $2)`;
          return client.query({ name: 'single', text, values: [subjects[at], bodies[at]] });
        }),
        1,
      ),
      chain: await run(
        [many('chain', 'INSERT INTO chained (body) SELECT * FROM unnest($1::bytea[])', [bodies])],
        ROWS,
      ),
    };
  } finally {
    for (const client of clients) await client.end();
    await server.stop();
  }
}

/** Each of `ask` over and over, all at once. */
async function measure(
  pids: readonly number[],
  options: {
    readonly seconds: number;
    readonly rows: number;
    readonly ask: readonly (() => Promise<unknown>)[];
  },
): Promise<Figures> {
  const latenciesMs: number[] = [];
  let events = 0;
  const cpu = process.cpuUsage();
  const before = cpuMicrosOf(pids);
  const start = performance.now();
  const end = start + options.seconds * 1000;
  await Promise.all(
    options.ask.map(async (ask) => {
      for (let now = performance.now(); now < end; now = performance.now()) {
        await ask();
        latenciesMs.push(performance.now() - now);
        events += options.rows;
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuMicros = user + system + cpuMicrosOf(pids) - before;
  return figures({ events, seconds, cpuMicros, latenciesMs });
}

/** Of processes and their children (`proc_pid_stat`: fields 14 to 17 are its own time and that of children that ended, in ticks). */
function cpuMicrosOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const each of pids.flatMap((pid) => [String(pid), ...childrenOf(pid)])) {
    const stat = readFileSync(`/proc/${each}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return (ticks * 1_000_000) / TICKS_PER_SECOND;
}

function childrenOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ');
}

/** Rows as COPY takes them. */
function copyText(subjects: readonly string[], bodies: readonly Buffer[]): string {
  const rows = bodies.map(
    (body, at) => `1\tdecision\t${subjects[at]}\t\\\\x${body.toString('hex')}\n`,
  );
  return `COPY event (at, kind, subject, body) FROM STDIN;\n${rows.join('')}\\.\n\\echo done\n`;
}

/** A client that copies the same rows each time it is asked. */
function startCopier(psql: string, folder: string, text: string) {
  const args = ['-h', folder, '-U', 'test', '-d', 'postgres', '-q', '-v', 'ON_ERROR_STOP=1'];
  const child = spawn(psql, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  return {
    pid: child.pid ?? 0,
    async copy() {
      child.stdin.write(text);
      await once(lines, 'line');
    },
    async end() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
