import { createServer } from 'node:https';
import type { Issuer } from '@countersign/identity';
import type { HostPort } from '@countersign/policy';
import { renewServerTls, type ServerTls, serverTlsOptions } from '@countersign/spiffe';
import { endWithCertificate } from '../listener-certificate/end-with-certificate.ts';
import type { ListenerCertificate } from '../listener-certificate/watch-certificate.ts';
import type { OwnSvid } from './keys/own-svid.ts';
import { listenError } from './listen-error.ts';

/** Serves the OAuth endpoints; clients may bring certificates of authorities that are not ours. */
export async function serveIssuer(
  issuer: Issuer,
  {
    address,
    own,
    certificate,
    now,
  }: {
    readonly address: HostPort;
    readonly own: OwnSvid;
    /** Shown in place of the SVID. */
    readonly certificate?: ListenerCertificate | undefined;
    readonly now: () => number;
  },
): Promise<{ close(): Promise<void> }> {
  const shown = certificate ?? own;
  const tls: ServerTls = { svid: shown.current, clientCertificates: 'request' };
  const server = createServer(serverTlsOptions(tls), (request, response) =>
    issuer.handler(request, response),
  );
  shown.onRenewed(() => renewServerTls(server, tls));
  if (certificate) endWithCertificate(server, { now });
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
