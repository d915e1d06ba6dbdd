import type { Dispatcher } from 'undici';
import { serviceApp } from './fastify-on-socket.ts';
import { openHeaderLog } from './header-log.ts';
import { connectAsWorkload } from './identity.ts';
import { nextHop } from './next-hop.ts';
import { openPaymentBook } from './payments/payment-book.ts';
import { paymentsRoutes } from './payments/routes.ts';
import { isMain, printFault, type Service, serve } from './serve.ts';

/** What the payments service runs on. */
export interface PaymentsOptions {
  readonly data: string;
  readonly now: () => number;
  /** Where the point beside the accounts service listens. */
  readonly accountsOrigin: string;
  /** Reaches it as this service. */
  readonly accountsDispatcher: Dispatcher;
  readonly onFault: (error: Error) => void;
}

/** The payments API: consents and payments; money moves through the accounts service only. */
export async function openPayments(options: PaymentsOptions): Promise<Service> {
  const { data, now, accountsOrigin: origin, accountsDispatcher: dispatcher, onFault } = options;
  const book = await openPaymentBook(data, now);
  const accounts = nextHop({ name: 'accounts', origin, dispatcher });
  const app = serviceApp({ onRequest: openHeaderLog(data, now), onFault });
  paymentsRoutes(app, { book, accounts });
  return {
    listen: async (path) => {
      await app.listen({ path });
    },
    close: async () => {
      await app.close();
      await book.close();
    },
  };
}

if (isMain(import.meta.url)) {
  await serve('payments', ['accounts-origin', 'accounts-id'], async ({ data, values }) => {
    const accountsOrigin = values['accounts-origin'] as string;
    const identity = await connectAsWorkload(accountsOrigin, values['accounts-id'] as string);
    const accountsDispatcher = identity.dispatcher;
    const onFault = printFault('payments');
    const service = await openPayments({
      data,
      now: Date.now,
      accountsOrigin,
      accountsDispatcher,
      onFault,
    });
    return identity.closingWith(service);
  });
}
