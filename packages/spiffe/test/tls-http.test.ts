import { once } from 'node:events';
import { connect as connectHttp2, createSecureServer, type Http2SecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:tls';
import {
  type ClientTls,
  clientTlsOptions,
  createConnections,
  createConnector,
  encodePem,
  serverTlsOptions,
  softwareSigner,
  type TlsIdentity,
  type VerifiedPeer,
  verifyPeers,
  verifyX509Svid,
  type X509Authority,
} from '@countersign/spiffe';
import { type Dispatcher, request, Agent as UndiciAgent } from 'undici';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { craft, EMPTY_NAME, x } from './craft-certificate.ts';
import { eventually } from './eventually.ts';
import { API, LEDGER, newAuthority, newIdentity, p256, pem, TRUST_DOMAIN } from './support.ts';

let authority: X509Authority;
let ledger: TlsIdentity;
let api: TlsIdentity;
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  authority = await newAuthority({ signer: softwareSigner(p256()) });
  ledger = await newIdentity(authority, LEDGER);
  api = await newIdentity(authority, API);
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** An HTTP server of ours that answers with the SPIFFE ID of whoever asks, and holds each connection. */
async function serve(server: Http2SecureServer | ReturnType<typeof createHttpsServer>) {
  const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
  const connections = createConnections<VerifiedPeer>({ now: Date.now });
  const refusals: string[] = [];
  const peers = verifyPeers(server as Server, {
    clientCertificates: 'require',
    verify: (chain) => verifyX509Svid(chain, { bundles, now: Date.now }),
    onVerified: (peer, socket) => connections.hold(socket, peer),
    onRefused: ({ code }) => refusals.push(code),
  });
  const handled: (string | undefined)[] = [];
  (server as Http2SecureServer).on('request', (asked, response) => {
    const socket = asked.stream?.session?.socket ?? asked.socket;
    const uri = peers.of(socket)?.spiffeId.uri;
    expect(peers.of(asked.socket)?.spiffeId.uri).toBe(uri);
    handled.push(uri);
    response.end(uri ?? 'nobody');
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({
    close: () => {
      connections.closeAll();
      server.close();
    },
  });
  const { port } = server.address() as AddressInfo;
  return { port, connections, handled, refusals };
}

const tls = { svid: () => ledger, clientCertificates: 'require' as const };
const h2 = () => createSecureServer(serverTlsOptions({ ...tls, alpn: ['h2'] }));
const h1 = () => createHttpsServer(serverTlsOptions(tls));

function toLedger(more: Partial<ClientTls> = {}): ClientTls {
  const authorities = [authority.certificate];
  return { svid: api, expect: LEDGER.uri, authorities, now: Date.now, ...more } as ClientTls;
}

async function getByHttp2(port: number, options: object): Promise<string> {
  const session = connectHttp2(`https://localhost:${port}`, options);
  open.push({ close: () => session.destroy() });
  const failed = new Promise<never>((_, reject) => session.once('error', reject));
  const stream = session.request({ ':path': '/' });
  stream.on('error', () => undefined).setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  await Promise.race([once(stream, 'close'), failed]);
  return text;
}

async function getByUndici(port: number, connect: object, more: object = {}): Promise<string> {
  const agent = new UndiciAgent({ connect, ...more } as UndiciAgent.Options);
  open.push({ close: () => agent.destroy() });
  const dispatcher = agent as Dispatcher;
  const { body } = await request(`https://localhost:${port}/`, { dispatcher });
  return body.text();
}

describe('node:http2', () => {
  test('knows on both sides who is at the other end', async () => {
    const { port, handled } = await serve(h2());
    const answered: VerifiedPeer[] = [];
    const onPeer = (peer: VerifiedPeer) => answered.push(peer);
    expect(await getByHttp2(port, clientTlsOptions(toLedger({ onPeer })))).toBe(API.uri);
    const connector = createConnector({ tls: () => toLedger({ onPeer }) });
    expect(await getByHttp2(port, { createConnection: connector.http2 })).toBe(API.uri);
    expect(answered.map(({ spiffeId }) => spiffeId)).toEqual([LEDGER, LEDGER]);
    expect(handled).toEqual([API.uri, API.uri]);
  });

  test('with plain options lets an authority call, and with ours does not', async () => {
    const root = craft({ extensions: [x.ca, x.certSign] });
    const bad = craft({
      issuer: root,
      name: EMPTY_NAME,
      extensions: [x.ca, x.keyUsage('03020284'), x.uris([API.uri])],
    });
    const plain = createSecureServer({
      cert: encodePem(ledger.chain),
      key: ledger.keyPem,
      requestCert: true,
      rejectUnauthorized: true,
      ca: encodePem([root.der]),
    });
    plain.on('request', (_, response) => response.end('in'));
    plain.listen(0, '127.0.0.1');
    await once(plain, 'listening');
    open.push(plain);
    const client = {
      cert: encodePem([bad.der]),
      key: pem(bad.privateKey),
      rejectUnauthorized: false,
    };
    expect(await getByHttp2((plain.address() as AddressInfo).port, client)).toBe('in');
    const { port, handled, refusals } = await serve(h2());
    await getByHttp2(port, client).catch(() => undefined);
    expect(refusals).toEqual(['ERR_SPIFFE_LEAF_IS_AUTHORITY']);
    expect(handled).toEqual([]);
  });

  test('sends nothing to a server that is another', async () => {
    const { port, handled } = await serve(h2());
    const other = toLedger({ expect: API.uri });
    const { http2 } = createConnector({ tls: () => other });
    for (const options of [clientTlsOptions(other), { createConnection: http2 }]) {
      await expect(getByHttp2(port, options)).rejects.toMatchObject({
        code: 'ERR_SPIFFE_PEER_UNEXPECTED',
      });
    }
    expect(handled).toEqual([]);
  });
});

describe('undici', () => {
  test.each([
    ['HTTP/1.1', h1, undefined, {}],
    ['HTTP/2', h2, ['h2', 'http/1.1'], { allowH2: true }],
  ] as const)('knows by %s who answered, and tells who asks', async (_, make, alpn, more) => {
    const { port, handled } = await serve(make());
    const answered: VerifiedPeer[] = [];
    const options = toLedger({ onPeer: (peer) => answered.push(peer), ...(alpn ? { alpn } : {}) });
    expect(await getByUndici(port, clientTlsOptions(options), more)).toBe(API.uri);
    const { undici } = createConnector({ tls: () => options });
    expect(await getByUndici(port, undici, more)).toBe(API.uri);
    expect(answered.map(({ spiffeId }) => spiffeId)).toEqual([LEDGER, LEDGER]);
    expect(handled).toEqual([API.uri, API.uri]);
  });

  test('sends nothing to a server that is another, or is not there', async () => {
    const { port, handled } = await serve(h1());
    const other = toLedger({ expect: API.uri });
    const { undici } = createConnector({ tls: () => other });
    for (const connect of [clientTlsOptions(other), undici]) {
      await expect(getByUndici(port, connect)).rejects.toMatchObject({
        code: 'ERR_SPIFFE_PEER_UNEXPECTED',
      });
    }
    expect(handled).toEqual([]);
    await expect(getByUndici(1, undici)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('shows the SVID of the moment, from the next connection on', async () => {
    const { port, handled } = await serve(h1());
    let svid = api;
    const { undici } = createConnector({ tls: () => toLedger({ svid }) });
    await getByUndici(port, undici);
    svid = await newIdentity(authority, LEDGER);
    await getByUndici(port, undici);
    expect(handled).toEqual([API.uri, LEDGER.uri]);
  });
});

describe('open connections', () => {
  test("are ended on both sides when the peer's certificate ends", async () => {
    const server = await serve(h2());
    const svid = await newIdentity(authority, API, 2);
    const connections = createConnections<VerifiedPeer>({ now: Date.now });
    const { http2 } = createConnector({ tls: () => toLedger({ svid }), connections });
    const session = connectHttp2(`https://localhost:${server.port}`, { createConnection: http2 });
    session.on('error', () => undefined);
    await once(session, 'connect');
    await eventually(() => [server.connections.size, connections.size]).toEqual([1, 1]);
    await once(session, 'close');
    // It was the server that ended it: the client's certificate is over, not the server's.
    expect([server.connections.size, connections.size]).toEqual([0, 0]);
  });

  test('that are over when they are opened are ended, on either side, and Node outlives it', async () => {
    const later = () => Date.now() + 7_200_000;
    const { port } = await serve(h2());
    const connections = createConnections<VerifiedPeer>({ now: later });
    const { http2 } = createConnector({ tls: () => toLedger(), connections });
    const session = connectHttp2(`https://localhost:${port}`, { createConnection: http2 });
    session.on('error', () => undefined);
    await once(session, 'close');

    const server = h2();
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    const seen = createConnections<VerifiedPeer>({ now: later });
    verifyPeers(server as Server, {
      clientCertificates: 'require',
      verify: (chain) => verifyX509Svid(chain, { bundles, now: Date.now }),
      onVerified: (peer, socket) => seen.hold(socket, peer),
    });
    server.on('request', (_, response) => response.end('in'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    const { port: other } = server.address() as AddressInfo;
    expect(await getByHttp2(other, clientTlsOptions(toLedger())).catch(() => '')).toBe('');
    expect([connections.size, seen.size]).toEqual([0, 0]);
  });

  test('are not opened with an SVID of our own that is over', async () => {
    const { port, handled } = await serve(h1());
    const { undici, connect } = createConnector({
      tls: () => toLedger({ now: () => Date.now() + 7_200_000 }),
    });
    expect(() => connect({ host: 'localhost', port })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_EXPIRED' }),
    );
    await expect(getByUndici(port, undici)).rejects.toMatchObject({ code: 'ERR_SPIFFE_EXPIRED' });
    expect(handled).toEqual([]);
  });

  test('are ended at once when an identity is revoked, and only its own', async () => {
    const server = await serve(h2());
    const dial = async (svid: TlsIdentity) => {
      const { http2 } = createConnector({ tls: () => toLedger({ svid }) });
      const session = connectHttp2(`https://localhost:${server.port}`, { createConnection: http2 });
      session.on('error', () => undefined);
      open.push({ close: () => session.destroy() });
      await once(session, 'connect');
      return session;
    };
    const revoked = [await dial(api), await dial(api)];
    const other = await dial(ledger);
    await eventually(() => server.connections.size).toBe(3);
    const ended = revoked.map((session) => once(session, 'close'));
    expect(server.connections.closeIdentity(API.uri)).toBe(2);
    expect(server.connections.size).toBe(1);
    await Promise.all(ended);
    expect(other.destroyed).toBe(false);
    expect(server.connections.closeIdentity(API.uri)).toBe(0);
  });
});
