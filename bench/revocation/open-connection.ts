import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { createConnector, createWorkloadClient, type X509Context } from '@countersign/spiffe';

/** What one client has, as a thief would keep it: nothing here hears of a revocation. */
export async function identityFrom(endpoint: string): Promise<X509Context> {
  const client = createWorkloadClient({ endpoint, random: Math.random });
  try {
    return await client.fetchX509Context();
  } finally {
    client.close();
  }
}

/** A connection over which one request was answered: so both ends hold it. */
export async function openConnection(
  url: string,
  { context, expect }: { readonly context: X509Context; readonly expect: string },
): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const { defaultSvid, bundles } = context;
  const { connect } = createConnector({
    tls: () => ({ svid: defaultSvid, bundles, expect, now: Date.now }),
  });
  const socket = connect({ host: hostname, port: Number(port) });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  socket.on('error', failed.reject);
  socket.once('close', () => failed.reject(new Error('closed')));
  await Promise.race([once(socket, 'secureConnect'), failed.promise]);
  await Promise.race([ask(socket, url), failed.promise]);
  return socket.resume();
}

/** One request over a connection that stands, answered. */
export async function ask(socket: TLSSocket, url: string): Promise<void> {
  const { pathname, host } = new URL(url);
  let text = '';
  const onData = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  socket.on('data', onData);
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  while (!/\r\n\r\n./s.test(text) && !socket.destroyed) await once(socket, 'data');
  socket.off('data', onData);
  if (!text.startsWith('HTTP/1.1 200')) {
    socket.destroy();
    throw new Error(`found ${text.slice(0, 200)}, expected 200`);
  }
}
