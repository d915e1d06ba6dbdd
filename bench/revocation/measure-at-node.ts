import { type DrillBank, drillId } from '@countersign/cli';
import { openAll } from './measure-at-point.ts';
import { identityFrom, openConnection } from './open-connection.ts';
import { measureTries, type Tries } from './tries.ts';

/** After each try the node asks for the service's next SVID, and gets sixteen at once: further ones come half a minute apart. */
const TRIES_MAX = 14;

/** A service has the identity; its node ends the stream of the Workload API, and it ends all that it serves in that name. */
export async function measureAtNode(bank: DrillBank, tries: number): Promise<Tries> {
  const [, endpoint = ''] = bank.clientEndpoints;
  const context = await identityFrom(endpoint);
  const spiffeId = drillId('service-1');
  return measureTries('a service of that identity ends the 4 connections that it serves', {
    ...{ bank, spiffeId, tries: Math.min(tries, TRIES_MAX) },
    open: () => openAll(() => openConnection(bank.urls.http1, { context, expect: spiffeId })),
  });
}
