import { createServer } from 'node:https';
import type { Issuer } from '@countersign/identity';
import type { HostPort } from '@countersign/policy';
import { type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import { listenError } from './listen-error.ts';
import type { OwnSvid } from './own-svid.ts';

/** Serves the OAuth endpoints; clients may bring certificates of authorities that are not ours. */
export async function serveIssuer(
  issuer: Issuer,
  { address, own }: { readonly address: HostPort; readonly own: OwnSvid },
): Promise<{ close(): Promise<void> }> {
  const tls: ServerTls = { svid: own.current, clientCertificates: 'request' };
  const server = createServer(serverTlsOptions(tls), (request, response) =>
    issuer.handler(request, response),
  );
  own.keepFresh(server, tls);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenError('authority.issuer', { address, cause })));
    server.listen({ ...address }, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
