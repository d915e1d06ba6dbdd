import type { IncomingHttpHeaders } from 'node:http';
import type { Posting } from '../../data/generate-bank.ts';
import type { NextHop, NextHopAnswer } from '../next-hop.ts';
import { Refusal } from '../problem.ts';
import type { AccountMaster } from './answers.ts';

/** The legacy core as the accounts service needs it; every call is part of a transaction. */
export interface CoreClient {
  master(number: string, incoming: IncomingHttpHeaders): Promise<AccountMaster>;
  /** At most 100; unknown numbers are left out. */
  masters(numbers: readonly string[], incoming: IncomingHttpHeaders): Promise<AccountMaster[]>;
  postings(
    number: string,
    query: Readonly<Record<string, number>>,
    incoming: IncomingHttpHeaders,
  ): Promise<{ postings: Posting[]; total: number }>;
  book(
    number: string,
    booking: { reference: string; amount: number; text: string; transaction?: string },
    incoming: IncomingHttpHeaders,
  ): Promise<Posting>;
}

/** Speaks the core's description; its refusals become ours. */
export function coreClient(call: NextHop): CoreClient {
  return {
    master: async (number, incoming) =>
      bodyOf(await call({ method: 'GET', path: `/core/accounts/${number}`, incoming })),
    masters: async (numbers, incoming) => {
      if (numbers.length === 0) return [];
      const path = `/core/accounts?numbers=${numbers.slice(0, 100).join(',')}`;
      const answer = await call({ method: 'GET', path, incoming });
      return bodyOf<{ accounts: AccountMaster[] }>(answer).accounts;
    },
    postings: async (number, query, incoming) => {
      const words = new URLSearchParams(
        Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
      );
      const path = `/core/accounts/${number}/postings?${words}`;
      return bodyOf(await call({ method: 'GET', path, incoming }));
    },
    book: async (number, body, incoming) =>
      bodyOf(
        await call({ method: 'POST', path: `/core/accounts/${number}/postings`, body, incoming }),
      ),
  };
}

function bodyOf<T>({ status, body }: NextHopAnswer): T {
  if (status === 200 || status === 201) return body as T;
  if (status === 404) throw new Refusal(404, 'no such account');
  if (status === 409) {
    const why = (body as { error?: unknown } | undefined)?.error;
    throw new Refusal(409, why === 'funds-insufficient' ? 'funds insufficient' : 'reference used');
  }
  throw new Refusal(502, 'the core did not answer', `found status ${status}`);
}
