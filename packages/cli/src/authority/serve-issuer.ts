import type { IncomingMessage, ServerResponse } from 'node:http';
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
  issuer: Pick<Issuer, 'handler'>,
  {
    address,
    own,
    certificate,
    fault = () => undefined,
    away = () => undefined,
    name = 'authority.issuer',
    now,
  }: {
    readonly address: HostPort;
    readonly own: Pick<OwnSvid, 'current' | 'onRenewed'>;
    /** Shown in place of the SVID. */
    readonly certificate?: ListenerCertificate | undefined;
    /** Why nothing may be issued at the moment; asked at each request. */
    readonly fault?: () => string | undefined;
    /** Why the state cannot be used at the moment: what needs none is answered all the same. */
    readonly away?: () => string | undefined;
    /** As messages and the record name it; `authority.issuer` if not said. */
    readonly name?: 'authority.issuer' | 'authority.issuers';
    readonly now: () => number;
  },
): Promise<{ close(): Promise<void> }> {
  const shown = certificate ?? own;
  const tls: ServerTls = { svid: shown.current, clientCertificates: 'request' };
  const server = createServer(serverTlsOptions(tls), (request, response) => {
    const found = fault() ?? (needsState(request) ? away() : undefined);
    if (found === undefined) issuer.handler(request, response);
    else refuse(request, response, found);
  });
  shown.onRenewed(() => renewServerTls(server, tls));
  if (certificate) endWithCertificate(server, { now });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(name, { address, cause })));
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

/** All but what is published of the issuer: its metadata and keys, which verifiers of tokens ask for. */
function needsState({ url = '' }: IncomingMessage): boolean {
  return !/^\/(?:\.well-known\/|jwks(?:\?|$))/.test(url);
}

/** RFC 9110 §15.6.4: a load balancer sends the next one elsewhere. */
function refuse(request: IncomingMessage, response: ServerResponse, detail: string): void {
  request.resume();
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '10' });
  response.end(JSON.stringify({ title: 'Service Unavailable', status: 503, detail }));
}
