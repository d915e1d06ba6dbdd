import type { FastifyInstance, FastifyRequest } from 'fastify';
import { openedTo } from '../../data/opened-accounts.ts';
import { apiAmount, pence } from '../amount.ts';
import { Refusal } from '../problem.ts';
import { type TransactionClaims, transactionClaims } from '../transaction.ts';
import type { AccountEvents } from './account-events.ts';
import {
  apiAccount,
  apiBalances,
  apiStandingOrder,
  apiTransaction,
  available,
  framed,
} from './answers.ts';
import type { Consent, Consents } from './consents.ts';
import type { CoreClient } from './core-client.ts';
import { consentBody, debitBody, transactionsQuery } from './shapes.ts';

/** What the accounts API is made of. */
export interface AccountsParts {
  readonly core: CoreClient;
  readonly consents: Consents;
  readonly events: AccountEvents;
  readonly now: () => number;
}

type WithAccount = { Params: { AccountId: string } };
type WithConsent = { Params: { ConsentId: string } };
const BASE = '/accounts-api';

/** Every operation of `accounts.openapi.yaml`, in its order. */
export function accountsRoutes(app: FastifyInstance, parts: AccountsParts): void {
  const { core, consents, events, now } = parts;

  app.post<{ Body: { Data: ConsentRequestData } }>(
    `${BASE}/account-access-consents`,
    { schema: { body: consentBody } },
    async (request, reply) => {
      const { Permissions, AccountIds, ExpirationDateTime } = request.body.Data;
      const expiring = ExpirationDateTime === undefined ? {} : { expires: ExpirationDateTime };
      const wish = { permissions: Permissions, accounts: AccountIds, ...expiring };
      const consent = await consents.create(serving(request).subject, wish);
      return reply.code(201).send(consentAnswer(consent));
    },
  );
  app.get<WithConsent>(`${BASE}/account-access-consents/:ConsentId`, async (request) => {
    const consent = consents.get(serving(request).subject, request.params.ConsentId);
    if (!consent) throw new Refusal(404, 'no such consent');
    return consentAnswer(consent);
  });
  app.delete<WithConsent>(`${BASE}/account-access-consents/:ConsentId`, async (request, reply) => {
    const isDeleted = await consents.delete(serving(request).subject, request.params.ConsentId);
    if (!isDeleted) throw new Refusal(404, 'no such consent');
    return reply.code(204).send();
  });

  app.get(`${BASE}/accounts`, async (request) => {
    const masters = await core.masters(openedTo(serving(request).subject), request.headers);
    return framed({ Account: masters.map(apiAccount) }, `${BASE}/accounts`);
  });
  app.get<WithAccount>(`${BASE}/accounts/:AccountId`, async (request) => {
    const master = await core.master(accountOf(request), request.headers);
    return framed({ Account: [apiAccount(master)] }, request.url);
  });
  app.get<WithAccount>(`${BASE}/accounts/:AccountId/balances`, async (request) => {
    const master = await core.master(accountOf(request), request.headers);
    return framed({ Balance: apiBalances(master, now()) }, request.url);
  });
  app.get<WithAccount & { Querystring: TransactionsQuery }>(
    `${BASE}/accounts/:AccountId/transactions`,
    { schema: { querystring: transactionsQuery } },
    async (request) => {
      const { fromBookingDateTime: from, toBookingDateTime: to } = request.query;
      const page = Number(request.query.page ?? 1);
      const limit = Number(request.query.pageSize ?? 25);
      const found = await core.postings(
        accountOf(request),
        {
          ...(from === undefined ? {} : { from: Date.parse(from) }),
          ...(to === undefined ? {} : { to: Date.parse(to) }),
          offset: (page - 1) * limit,
          limit,
        },
        request.headers,
      );
      const total = Math.max(1, Math.ceil(found.total / limit));
      const next = page < total ? { next: pageUrl(request.url, page + 1) } : {};
      const Transaction = found.postings.map(apiTransaction);
      return framed({ Transaction }, request.url, { total, ...next });
    },
  );
  app.get<WithAccount>(`${BASE}/accounts/:AccountId/standing-orders`, async (request) => {
    const account = accountOf(request);
    const { standingOrders } = await core.master(account, request.headers);
    const StandingOrder = standingOrders.map((order) => apiStandingOrder(account, order));
    return framed({ StandingOrder }, request.url);
  });

  app.get(`${BASE}/events`, async (request, reply) => {
    const accounts = openedTo(serving(request).subject);
    reply.hijack();
    if (!events.follow(reply.raw, accounts)) {
      reply.raw.writeHead(503, { 'content-length': 0, 'retry-after': '5' }).end();
    }
  });

  app.get<WithAccount>(`${BASE}/accounts/:AccountId/available-funds`, async (request) => {
    const master = await core.master(accountOf(request), request.headers);
    return { Data: { AccountId: master.number, Available: apiAmount(available(master)) } };
  });
  app.post<WithAccount & { Body: { Data: DebitRequestData } }>(
    `${BASE}/accounts/:AccountId/debits`,
    { schema: { body: debitBody } },
    async (request, reply) => {
      const account = accountOf(request);
      const { Reference: reference, Amount, Text: text } = request.body.Data;
      const amount = -pence(Amount.Amount);
      const transaction = serving(request).id;
      const booking = { reference, amount, text, transaction };
      const posting = await core.book(account, booking, request.headers);
      events.posted(account, amount);
      const master = await core.master(account, request.headers);
      return reply.code(201).send({
        Data: {
          AccountId: account,
          TransactionId: posting.id,
          BookingDateTime: new Date(posting.atMs).toISOString(),
          Available: apiAmount(available(master)),
        },
      });
    },
  );
}

interface ConsentRequestData {
  readonly Permissions: string[];
  readonly AccountIds: string[];
  readonly ExpirationDateTime?: string;
}
interface DebitRequestData {
  readonly Reference: string;
  readonly Amount: { readonly Amount: string };
  readonly Text: string;
}
interface TransactionsQuery {
  readonly fromBookingDateTime?: string;
  readonly toBookingDateTime?: string;
  readonly page?: string;
  readonly pageSize?: string;
}

/** In whose name; the point beside this service lets nothing through that says nothing of it. */
function serving(request: FastifyRequest): TransactionClaims {
  const claims = transactionClaims(request.headers);
  if (!claims) throw new Refusal(403, 'no transaction', 'this call is good for nobody by itself');
  return claims;
}

// Only digits go into the path of the next call.
function accountOf(request: FastifyRequest<WithAccount>): string {
  const { AccountId } = request.params;
  if (!/^[0-9]{5}$/.test(AccountId)) throw new Refusal(404, 'no such account');
  return AccountId;
}

function pageUrl(url: string, page: number): string {
  const [path, query] = url.split('?', 2);
  const words = new URLSearchParams(query);
  words.set('page', String(page));
  return `${path}?${words}`;
}

function consentAnswer(consent: Consent): Record<string, unknown> {
  const { id, createdMs, expires, permissions, accounts } = consent;
  return framed(
    {
      ConsentId: id,
      // Nobody authorises consents in the example: holders opened their accounts beforehand.
      Status: 'AwaitingAuthorisation',
      CreationDateTime: new Date(createdMs).toISOString(),
      ...(expires === undefined ? {} : { ExpirationDateTime: expires }),
      Permissions: permissions,
      AccountIds: accounts,
    },
    `${BASE}/account-access-consents/${id}`,
  );
}
