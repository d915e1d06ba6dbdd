import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type LogSource,
  openRecordIndex,
  type Question,
  type RecordIndex,
} from '@countersign/audit';
import { ed25519NoteSigner, nodeDisk, openLog, verifierKey } from '@countersign/ledger';
import { encodeEvent } from '@countersign/model';
import { bankTraffic, SAMPLE } from './bank-traffic.ts';
import { besidePostgres } from './beside-postgres.ts';

// What an event costs to index and a question to answer. Run: npm run bench -w packages/audit [-- EVENTS [LOGS]]
// A record of EVENTS (default 1,000,000) is written and indexed; then questions are put to LOGS (default 10) copies of
// its index at once, as if as many points had delivered the same: ten million events in ten files. `10000000 1` makes one
// log of them, which takes minutes of CPU and 7 GB of temporary disk.

const events = Number(process.argv[2] ?? 1_000_000);
const logs = Number(process.argv[3] ?? 10);
const START_MS = Date.UTC(2026, 7, 1);
const SPAN_MS = 90 * 86_400_000;
const DAY_MS = 86_400_000;
const ORIGIN = 'bank.example/edge';
const COMMIT_EVENTS = 500;
const RUNS = 40;

/** A question of an auditor, with other values each time. */
const QUESTIONS: Readonly<Record<string, (run: number) => Question>> = {
  'who touched this customer': (run) => ({
    where: [{ fields: ['resourceId'], values: [SAMPLE.customer(run * 4999 + 7)] }],
  }),
  'what did this agent do within 6 hours': (run) => ({
    where: [{ fields: ['subject', 'actor', 'caller'], values: [SAMPLE.agent(run % 50)] }],
    fromMs: START_MS + run * 2 * DAY_MS,
    toMs: START_MS + run * 2 * DAY_MS + DAY_MS / 4,
  }),
  'what did this person do, ever': (run) => ({
    where: [{ fields: ['subject', 'actor', 'caller'], values: [SAMPLE.subject(run * 13)] }],
  }),
  'all denials of a surface': (run) => ({
    where: [
      { fields: ['effect'], values: ['deny', 'challenge', 'refused'] },
      { fields: ['surface'], values: [['accounts', 'rates', 'cards', 'core'][run % 4] as string] },
    ],
  }),
  'every use of break-glass': () => ({ where: [{ fields: ['mark'], values: ['break-glass'] }] }),
  'decisions of one kind of policy': (run) => ({
    where: [{ fields: ['policy'], values: [`payments-permit-${run % 3}`] }],
  }),
  'everything, a week of it': (run) => ({
    where: [],
    fromMs: START_MS + run * DAY_MS,
    toMs: START_MS + (run + 7) * DAY_MS,
  }),
  'all decisions': () => ({ where: [{ fields: ['kind'], values: ['decision'] }] }),
};

async function main(): Promise<void> {
  const root = mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'countersign-find-'));
  try {
    const source = await writeRecord(root);
    await (await build(source)).close();
    const index = await openMany(source, root);
    const transactions = await sampleTransactions(index);
    await measure(index, {
      ...QUESTIONS,
      'everything under one transaction': (run) => ({
        where: [{ fields: ['txn'], values: [transactions[run % transactions.length] as string] }],
      }),
    });
    await index.close();
    // A peer that takes minutes for more: the same traffic, thinned out over the same time.
    const beside = Math.min(events, 500_000);
    await besidePostgres({
      traffic: bankTraffic({ events: beside, origin: ORIGIN, startMs: START_MS, spanMs: SPAN_MS }),
      events: beside,
      startMs: START_MS,
      transactions,
      runs: RUNS,
      print,
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function writeRecord(root: string): Promise<LogSource> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const folder = join(root, 'log');
  mkdirSync(folder, { recursive: true });
  const log = await openLog({
    origin: ORIGIN,
    signer: ed25519NoteSigner({ name: ORIGIN, privateKey }),
    disk: nodeDisk(folder),
    now: Date.now,
  });
  const started = performance.now();
  let bytes = 0;
  let pending: Promise<void> | undefined;
  for (const event of bankTraffic({ events, origin: ORIGIN, startMs: START_MS, spanMs: SPAN_MS })) {
    const entry = encodeEvent(event);
    bytes += entry.length;
    const at = log.append(entry);
    if (at % COMMIT_EVENTS === COMMIT_EVENTS - 1) {
      await pending;
      pending = log.durable(at);
    }
  }
  await log.close();
  const seconds = (performance.now() - started) / 1000;
  print(
    `record   ${count(events)} events of ${(bytes / events).toFixed(0)} bytes, written in ${seconds.toFixed(0)} s`,
  );
  return {
    name: 'edge',
    origin: ORIGIN,
    folder,
    indexFolder: join(root, 'index'),
    verifierKey: verifierKey(ORIGIN, privateKey),
  };
}

async function build(source: LogSource): Promise<RecordIndex> {
  const index = openRecordIndex();
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  index.follow(source, events);
  await index.ask({ where: [] }, { order: 'newest', limit: 0 });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const bytes = bytesIn(source.indexFolder);
  print(
    `index    ${count(events / seconds)} events/s, ${((user + system) / events).toFixed(1)} us CPU and ${(bytes / sealed(events)).toFixed(1)} bytes an event`,
  );
  return index;
}

/** An index over copies of one log's index, each a log by its name; all read the one log's segments. */
async function openMany(source: LogSource, root: string): Promise<RecordIndex> {
  const index = openRecordIndex();
  const started = performance.now();
  for (let number = 0; number < logs; number++) {
    const indexFolder = number === 0 ? source.indexFolder : join(root, `index-${number}`);
    if (number > 0) cpSync(source.indexFolder, indexFolder, { recursive: true });
    index.follow({ ...source, name: `edge-${number}`, indexFolder }, events);
  }
  const { count: all } = await index.ask({ where: [] }, { order: 'newest', limit: 0 });
  const seconds = (performance.now() - started) / 1000;
  print(
    `opened   ${logs} logs, ${count(all)} events, in ${seconds.toFixed(1)} s, the newest block of each read again`,
  );
  return index;
}

/** Events in files; the newest block is in memory. */
function sealed(of: number): number {
  return Math.max(1, of - (of % 32_768));
}

async function sampleTransactions(index: RecordIndex): Promise<readonly string[]> {
  const found: string[] = [];
  for (let run = 0; run < 10; run++) {
    const fromMs = START_MS + run * 8 * DAY_MS;
    const { rows } = await index.ask({ where: [], fromMs }, { order: 'oldest', limit: 4 });
    for (const { event } of rows) if ('txn' in event && event.txn) found.push(event.txn);
  }
  return found;
}

async function measure(
  index: RecordIndex,
  questions: Readonly<Record<string, (run: number) => Question>>,
): Promise<void> {
  print(
    `\n${'newest 50 rows and the count over all'.padEnd(42)}${'rows'.padStart(12)}  first    p50    p99 ms   CPU ms`,
  );
  for (const [name, question] of Object.entries(questions)) {
    const took: number[] = [];
    let rows = 0;
    const cpu = process.cpuUsage();
    for (let run = 0; run < RUNS; run++) {
      const started = performance.now();
      const answer = await index.ask(question(run), { order: 'newest', limit: 50 });
      took.push(performance.now() - started);
      rows += answer.count;
    }
    const { user, system } = process.cpuUsage(cpu);
    const cpuMs = ((user + system) / 1000 / RUNS).toFixed(1).padStart(12);
    const [first = 0] = took;
    took.sort((a, b) => a - b);
    const at = (share: number): string =>
      (took[Math.ceil(share * RUNS) - 1] ?? 0).toFixed(1).padStart(7);
    print(
      `${name.padEnd(42)}${count(rows / RUNS).padStart(12)}${first.toFixed(1).padStart(7)}${at(0.5)}${at(0.99)}${cpuMs}`,
    );
  }
}

function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
