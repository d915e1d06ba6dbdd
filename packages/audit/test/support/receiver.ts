import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import type { TestCertificates } from './test-certificates.ts';

/** One request as it came, unpacked. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The SPIFFE ID of the client's certificate, when it was asked for and verified. */
  readonly client: string | undefined;
}

/** What to answer: a status, or nothing to let the client wait. */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | undefined;

/** A real HTTPS server that keeps what it gets and answers what the test says. */
export async function startReceiver(
  certificates: TestCertificates,
  answer: (request: Received, count: number) => Answer | Promise<Answer> = () => ({ status: 200 }),
) {
  const requests: Received[] = [];
  const server = createServer(
    {
      cert: certificates.server.certificate,
      key: certificates.server.key,
      ca: certificates.ca,
      requestCert: true,
      rejectUnauthorized: false,
    },
    async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const socket = request.socket as TLSSocket;
      const received: Received = {
        path: request.url ?? '',
        headers: request.headers,
        body: gunzipSync(Buffer.concat(chunks)).toString(),
        client: socket.authorized ? socket.getPeerCertificate().subjectaltname : undefined,
      };
      requests.push(received);
      const said = await answer(received, requests.length);
      if (said) response.writeHead(said.status, said.headers ?? {}).end(said.body ?? '');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    requests,
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** `metadata.uid` of each event in an NDJSON body. */
export function uidsOf(body: string): readonly string[] {
  return body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).metadata.uid);
}
