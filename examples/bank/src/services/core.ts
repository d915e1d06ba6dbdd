import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Account } from '../data/generate-bank.ts';
import { type Booking, type Ledger, openLedger } from './core/ledger.ts';
import { openHeaderLog } from './header-log.ts';
import { isMain, printFault, type Service, serve } from './serve.ts';

/** The seed of the bank's generated past. */
export const BANK_SEED = 'countersign example bank';

/** What stands before every path of the core. */
const BASE_PATH = '/core';
const BODY_BYTES_MAX = 16 * 1024;
const ACCOUNT = /^[0-9]{5}$/;

/**
 * The legacy core: node:http as it was written years ago, and no authentication at all. It is safe
 * only for what stands around it: its unix socket, and the enforcement point in front of that.
 */
export async function openCore(options: {
  data: string;
  now: () => number;
  onFault: (error: Error) => void;
}): Promise<Service> {
  const ledger = await openLedger({ folder: options.data, now: options.now, seed: BANK_SEED });
  const noteHeaders = openHeaderLog(options.data, options.now);
  const server = createServer((request, response) => {
    noteHeaders(request);
    answer(ledger, request).then(
      ({ status, body }) => send(response, status, body),
      // The journal refused, or the caller broke off; a journal that refused once always does.
      (error: Error) => {
        options.onFault(error);
        send(response, 500, { error: 'not done' });
      },
    );
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 15_000;
  server.maxConnections = 1_000;
  return {
    listen: (path) =>
      new Promise((resolve, reject) => {
        server.once('error', reject).listen(path, resolve);
      }),
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
      await ledger.close();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function answer(ledger: Ledger, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://core');
  const segments = url.pathname.split('/').slice(1);
  const [base, accounts, number, postings, ...rest] = segments;
  if (`/${base}` !== BASE_PATH || accounts !== 'accounts' || rest.length > 0) return notFound;
  if (number === undefined) {
    return request.method === 'GET' ? severalMasters(ledger, url) : methodUnknown;
  }
  const account = ACCOUNT.test(number) ? ledger.account(number) : undefined;
  if (!account) return notFound;
  if (postings === undefined) {
    return request.method === 'GET'
      ? { status: 200, body: masterOf(ledger, account) }
      : methodUnknown;
  }
  if (postings !== 'postings') return notFound;
  if (request.method === 'GET') return listPostings(ledger, account, url);
  return request.method === 'POST' ? book(ledger, account, request) : methodUnknown;
}

const notFound: Answer = { status: 404, body: { error: 'not found' } };
const methodUnknown: Answer = { status: 405, body: { error: 'method unknown' } };
const badRequest = (error: string): Answer => ({ status: 400, body: { error } });

function severalMasters(ledger: Ledger, url: URL): Answer {
  const numbers = (url.searchParams.get('numbers') ?? '').split(',');
  if (numbers.length > 100 || !numbers.every((number) => ACCOUNT.test(number))) {
    return badRequest('numbers: expected 1 to 100 account numbers');
  }
  const known = numbers.map((number) => ledger.account(number)).filter((account) => !!account);
  return { status: 200, body: { accounts: known.map((account) => masterOf(ledger, account)) } };
}

function masterOf(ledger: Ledger, account: Account): Record<string, unknown> {
  const { id, holder, name, kind, currency, sortCode, number, iban, overdraft } = account;
  return {
    number: id,
    holder,
    name,
    kind,
    currency,
    sortCode,
    accountNumber: number,
    iban,
    opened: new Date(account.openedMs).toISOString().slice(0, 10),
    overdraft,
    balance: ledger.balance(id),
    standingOrders: account.standingOrders,
  };
}

function listPostings(ledger: Ledger, account: Account, url: URL): Answer {
  const whole = (name: string, absent: number, max: number): number | undefined => {
    const text = url.searchParams.get(name);
    if (text === null) return absent;
    return /^[0-9]{1,15}$/.test(text) && Number(text) <= max ? Number(text) : undefined;
  };
  const fromMs = whole('from', 0, Number.MAX_SAFE_INTEGER);
  const toMs = whole('to', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  const offset = whole('offset', 0, 10_000_000);
  const limit = whole('limit', 25, 500);
  if (fromMs === undefined || toMs === undefined || offset === undefined || !limit) {
    return badRequest('from, to, offset, limit: expected whole numbers within bounds');
  }
  return { status: 200, body: ledger.postings(account.id, { fromMs, toMs, offset, limit }) };
}

async function book(ledger: Ledger, account: Account, request: IncomingMessage): Promise<Answer> {
  const asked = bookingOf(account.id, await readJson(request));
  if (!asked) return badRequest('expected reference, amount in pence, text');
  const result = await ledger.book(asked);
  switch (result.kind) {
    case 'booked':
      return { status: 201, body: result.posting };
    case 'account-unknown':
      return notFound;
    default:
      return { status: 409, body: { error: result.kind } };
  }
}

function bookingOf(account: string, value: unknown): Booking | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { reference, amount, text, transaction, ...rest } = value as Record<string, unknown>;
  if (typeof reference !== 'string' || !/^[A-Za-z0-9_-]{1,40}$/.test(reference)) return undefined;
  if (!Number.isSafeInteger(amount) || Math.abs(amount as number) > 99_999_999_999)
    return undefined;
  if (typeof text !== 'string' || text.length < 1 || text.length > 140) return undefined;
  if (transaction !== undefined && (typeof transaction !== 'string' || transaction.length > 128)) {
    return undefined;
  }
  if (Object.keys(rest).length > 0) return undefined;
  const serving = transaction === undefined ? {} : { transaction };
  return { account, reference, amount: amount as number, text, ...serving };
}

/** The body as JSON, or nothing when it is none or longer than {@link BODY_BYTES_MAX}. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
  });
  response.end(bytes);
}

if (isMain(import.meta.url)) {
  await serve('core', [], ({ data }) =>
    openCore({ data, now: Date.now, onFault: printFault('core') }),
  );
}
