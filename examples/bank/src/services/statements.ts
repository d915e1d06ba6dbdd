import { type Account, type Bank, generateBank, type Posting } from '../data/generate-bank.ts';
import { apiAmount } from './amount.ts';
import { BANK_SEED } from './core.ts';
import { serviceApp } from './fastify-on-socket.ts';
import { openHeaderLog } from './header-log.ts';
import { Refusal } from './problem.ts';
import { isMain, printFault, type Service, serve } from './serve.ts';

/** What the statement archive runs on. */
export interface StatementsOptions {
  readonly data: string;
  readonly now: () => number;
  readonly onFault: (error: Error) => void;
}

const BASE = '/statements-api';
const STATEMENTS_MAX = 12;

/** The statement archive: it asks nobody anything, which is why its surface is there. */
export async function openStatements(options: StatementsOptions): Promise<Service> {
  const { data, now, onFault } = options;
  const bank = generateBank({ seed: BANK_SEED, untilMs: now() });
  const app = serviceApp({ onRequest: openHeaderLog(data, now), onFault });
  app.get<{ Params: { AccountId: string } }>(
    `${BASE}/accounts/:AccountId/statements`,
    async (request) => {
      const { AccountId } = request.params;
      const Statement = monthsOf(bank, AccountId).map((month) => ({
        AccountId,
        StatementId: month,
        StartDate: `${month}-01`,
        EndDate: lastDayOf(month),
      }));
      return { Data: { Statement } };
    },
  );
  app.get<{ Params: { AccountId: string; StatementId: string } }>(
    `${BASE}/accounts/:AccountId/statements/:StatementId`,
    async (request, reply) => {
      const { AccountId, StatementId } = request.params;
      if (!monthsOf(bank, AccountId).includes(StatementId))
        throw new Refusal(404, 'no such statement');
      return reply
        .type('text/plain; charset=utf-8')
        .send(statementText(bank, AccountId, StatementId));
    },
  );
  return {
    listen: async (path) => {
      await app.listen({ path });
    },
    close: () => app.close(),
  };
}

/** The months with a statement, newest first. */
function monthsOf(bank: Bank, account: string): string[] {
  const postings = bank.postings.get(account);
  if (!postings) throw new Refusal(404, 'no such account');
  const months = new Set(postings.map(({ atMs }) => monthOf(atMs)));
  return [...months].sort().reverse().slice(0, STATEMENTS_MAX);
}

function statementText(bank: Bank, id: string, month: string): string {
  const account = bank.accounts.get(id) as Account;
  const rows = (bank.postings.get(id) ?? []).filter(({ atMs }) => monthOf(atMs) === month);
  const head = [
    `Statement ${month}`,
    `${account.name}   ${account.sortCode} ${account.number}   ${account.iban}`,
    '',
  ];
  return `${[...head, ...rows.map(rowText)].join('\n')}\n`;
}

function rowText({ atMs, text, amount, balance }: Posting): string {
  const day = new Date(atMs).toISOString().slice(0, 10);
  const columns = [apiAmount(amount).Amount.padStart(12), apiAmount(balance).Amount.padStart(14)];
  return `${day}  ${text.padEnd(30)}${columns.join('')}`;
}

function monthOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 7);
}

function lastDayOf(month: string): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  return new Date(Date.UTC(year, number, 0)).toISOString().slice(0, 10);
}

if (isMain(import.meta.url)) {
  await serve('statements', [], ({ data }) =>
    openStatements({ data, now: Date.now, onFault: printFault('statements') }),
  );
}
