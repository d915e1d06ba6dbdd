import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import {
  createConnections,
  createConnector,
  serverTlsOptions,
  softwareSigner,
  type VerifiedPeer,
  verifyPeers,
  verifyX509Svid,
} from '@countersign/spiffe';
import { API, LEDGER, newAuthority, newIdentity, p256, TRUST_DOMAIN } from '../test/support.ts';
import { percentiles } from './figures.ts';

/** Open all the while, of others: they must not cost the one that is revoked anything. */
const OTHERS = 500;
const OF_THE_IDENTITY = 4;

/** From `closeIdentity` to the moment that the last client of that identity sees its connection closed; one process. */
export async function measureRevocation(tries: number): Promise<void> {
  const authority = await newAuthority({ signer: softwareSigner(p256()) });
  const ledger = await newIdentity(authority, LEDGER);
  const api = await newIdentity(authority, API);
  const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
  const connections = createConnections<VerifiedPeer>({ now: Date.now });
  const server = createServer(
    serverTlsOptions({ svid: () => ledger, clientCertificates: 'require' }),
  );
  verifyPeers(server, {
    clientCertificates: 'require',
    verify: (chain) => verifyX509Svid(chain, { bundles, now: Date.now }),
    onVerified: (peer, socket) =>
      connections.hold(
        socket.on('error', () => undefined),
        peer,
      ),
  });
  server.listen(0, '127.0.0.1', 1024);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dial = async (svid: typeof api) => {
    const { connect } = createConnector({
      tls: () => ({ svid, expect: LEDGER.uri, bundles, now: Date.now }),
    });
    const socket = connect({ host: '127.0.0.1', port }).on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket.resume();
  };
  const opened = async (count: number) => {
    while (connections.size < count) await new Promise((resolve) => setImmediate(resolve));
  };
  const others = [];
  for (let count = 0; count < OTHERS; count += 1) others.push(await dial(ledger));
  const all: number[] = [];
  for (let done = 0; done < tries; done += 1) {
    const sockets = await Promise.all(Array.from({ length: OF_THE_IDENTITY }, () => dial(api)));
    await opened(OTHERS + OF_THE_IDENTITY);
    const closed = Promise.all(sockets.map((socket) => once(socket, 'close')));
    const started = performance.now();
    connections.closeIdentity(API.uri);
    await closed;
    all.push(performance.now() - started);
  }
  percentiles(
    `revoke one identity: its last of ${OF_THE_IDENTITY} connections closed`,
    all,
    `, among ${OTHERS} others; aim 10 ms`,
  );
  for (const socket of others) socket.destroy();
  connections.closeAll();
  server.close();
}
