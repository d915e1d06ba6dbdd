import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { DRILL_POINT_ID, type DrillBank, drillId } from '@countersign/cli';
import { ask, identityFrom, openConnection } from './open-connection.ts';
import { measureTries, type Tries } from './tries.ts';

const OF_THE_IDENTITY = 4;
/** Open all the while, of another identity. */
const OTHERS = 200;
/** The point closes what is idle for 30 s. */
const ASK_EVERY_MS = 12_000;

/** An enforcement point holds connections of the identity; the feed tells it. */
export async function measureAtPoint(bank: DrillBank, tries: number): Promise<Tries> {
  const url = bank.urls.point;
  const [revoked, other] = await Promise.all(bank.clientEndpoints.slice(0, 2).map(identityFrom));
  if (!revoked || !other) throw new Error('broken invariant: a drill has two clients');
  const others: TLSSocket[] = [];
  while (others.length < OTHERS) {
    others.push(await openConnection(url, { context: other, expect: DRILL_POINT_ID }));
  }
  const asking = setInterval(() => {
    for (const socket of others) ask(socket, url).catch(() => undefined);
  }, ASK_EVERY_MS);
  try {
    return await measureTries(
      `an enforcement point ends ${OF_THE_IDENTITY} connections of it, among ${OTHERS} others`,
      {
        ...{ bank, tries, spiffeId: drillId('client-1') },
        open: () =>
          openAll(() => openConnection(url, { context: revoked, expect: DRILL_POINT_ID })),
      },
    );
  } finally {
    clearInterval(asking);
    const open = others.filter(({ destroyed }) => !destroyed).length;
    for (const socket of others) socket.destroy();
    if (open < OTHERS) process.stderr.write(`${OTHERS - open} of the others were closed\n`);
  }
}

/** All of them, or none is left open. */
export async function openAll(
  open: () => Promise<TLSSocket>,
): Promise<{ readonly closed: Promise<unknown> }> {
  const sockets: TLSSocket[] = [];
  try {
    while (sockets.length < OF_THE_IDENTITY) sockets.push(await open());
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  }
  return { closed: Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close'))) };
}
