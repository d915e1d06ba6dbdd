import type { Dispatcher } from 'undici';
import { accountEvents } from './accounts/account-events.ts';
import { openConsents } from './accounts/consents.ts';
import { coreClient } from './accounts/core-client.ts';
import { accountsRoutes } from './accounts/routes.ts';
import { serviceApp } from './fastify-on-socket.ts';
import { openHeaderLog } from './header-log.ts';
import { connectAsWorkload } from './identity.ts';
import { nextHop } from './next-hop.ts';
import { isMain, printFault, type Service, serve } from './serve.ts';

/** What the accounts service runs on. */
export interface AccountsOptions {
  readonly data: string;
  readonly now: () => number;
  /** Where the point around the legacy core listens. */
  readonly coreOrigin: string;
  /** Reaches it as this service. */
  readonly coreDispatcher: Dispatcher;
  readonly onFault: (error: Error) => void;
}

/** The accounts API: what partners read, and what the payments service needs; all from the core. */
export async function openAccounts(options: AccountsOptions): Promise<Service> {
  const { data, now, coreOrigin: origin, coreDispatcher: dispatcher, onFault } = options;
  const consents = await openConsents(data, now);
  const events = accountEvents();
  const core = coreClient(nextHop({ name: 'core', origin, dispatcher }));
  const app = serviceApp({ onRequest: openHeaderLog(data, now), onFault });
  accountsRoutes(app, { core, consents, events, now });
  return {
    listen: async (path) => {
      await app.listen({ path });
    },
    close: async () => {
      events.close();
      await app.close();
      await consents.close();
    },
  };
}

if (isMain(import.meta.url)) {
  await serve('accounts', ['core-origin', 'core-id'], async ({ data, values }) => {
    const coreOrigin = values['core-origin'] as string;
    const identity = await connectAsWorkload(coreOrigin, values['core-id'] as string);
    const { dispatcher: coreDispatcher } = identity;
    const onFault = printFault('accounts');
    const service = await openAccounts({
      data,
      now: Date.now,
      coreOrigin,
      coreDispatcher,
      onFault,
    });
    return identity.closingWith(service);
  });
}
