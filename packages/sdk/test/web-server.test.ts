import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { accessTokens, connectWorkload, type Workload } from '@countersign/sdk';
import {
  certificateThumbprint,
  createPrivateAuthority,
  type PrivateAuthority,
  peerChain,
  serverTlsOptions,
  softwareSigner,
} from '@countersign/spiffe';
import { type Dispatcher, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AUTHORITY_ID, TestAuthority, TRUST_DOMAIN } from './test-authority.ts';

// Servers that have a certificate of the web's CA for their host name: an edge or an issuer with one of its own.

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const newWeb = (): Promise<PrivateAuthority> =>
  createPrivateAuthority({ commonName: 'web', signer: softwareSigner(p256()), now: Date.now });

let authority: TestAuthority;
let workload: Workload;
let web: PrivateAuthority;
const servers: Server[] = [];

beforeAll(async () => {
  authority = await TestAuthority.start();
  web = await newWeb();
  workload = await connectWorkload({
    authorityUrl: authority.url,
    authoritySpiffeId: AUTHORITY_ID,
    x509Authorities: authority.anchors,
    trustDomain: TRUST_DOMAIN,
    joinToken: authority.join('token'),
  });
});
afterAll(async () => {
  await workload.close();
  await authority.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** Answers with the thumbprint of what the client showed; as an issuer, with a token bound to it. */
async function serve(dnsNames: readonly string[], ttlSeconds = 3600): Promise<string> {
  const { publicKey, privateKey } = p256();
  const { chain } = await web.issueServerCertificate({ dnsNames, publicKey, ttlSeconds });
  const keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  const server = createServer(
    serverTlsOptions({ svid: () => ({ chain, keyPem }), clientCertificates: 'request' }),
    (asked, answer) => {
      asked.resume();
      const [leaf = new Uint8Array()] = peerChain(asked.socket as never);
      const thumbprint = certificateThumbprint(leaf);
      if (asked.method === 'GET') return void answer.end(thumbprint);
      const claims = Buffer.from(JSON.stringify({ jti: '1', cnf: { 'x5t#S256': thumbprint } }));
      const token = `e30.${claims.toString('base64url')}.c2ln`;
      answer.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 100 }));
    },
  );
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

const trusting = (...of: PrivateAuthority[]) => ({
  authorities: of.map(({ certificate }) => certificate),
});
const dump = async ({ body }: Dispatcher.ResponseData): Promise<void> => {
  await body.dump();
};
const own = () => certificateThumbprint(workload.chain[0] as Uint8Array);

test('it is called as this workload, and known by its host name', async () => {
  const origin = await serve(['localhost']);
  const dispatcher = workload.dispatcherFor(origin, trusting(web));
  expect(await (await request(origin, { dispatcher })).body.text()).toBe(own());
  expect(workload.dispatcherFor(origin, trusting(web))).toBe(dispatcher);
});

test.each([
  ['of another name', ['other.example'], () => trusting(web), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [
    "of another's CA",
    ['localhost'],
    async () => trusting(await newWeb()),
    /ISSUER|SELF_SIGNED|VERIFY/,
  ],
  [
    "of no CA of the system's",
    ['localhost'],
    () => ({ authorities: 'system' as const }),
    /ISSUER|SELF_SIGNED|VERIFY/,
  ],
])('one %s is refused', async (_what, names, peer, code) => {
  const origin = await serve(names);
  const dispatcher = workload.dispatcherFor(origin, await peer());
  const expected = typeof code === 'string' ? code : expect.stringMatching(code);
  await expect(request(origin, { dispatcher })).rejects.toMatchObject({ code: expected });
});

test('the own authorities vouch for no host name', async () => {
  const origin = await serve(['localhost']);
  const dispatcher = workload.dispatcherFor(origin, { authorities: workload.authorities });
  await expect(request(origin, { dispatcher })).rejects.toThrow();
});

test('who is expected by a SPIFFE ID is not known by a host name', async () => {
  const origin = await serve(['localhost']);
  const dispatcher = workload.dispatcherFor(origin, AUTHORITY_ID);
  await expect(request(origin, { dispatcher })).rejects.toThrow();
});

test('no connection outlives the certificate that it was shown', async () => {
  const origin = await serve(['localhost'], 2);
  const [server] = servers.slice(-1);
  const closed = once(server as Server, 'secureConnection').then(([socket]) =>
    once(socket, 'close'),
  );
  const dispatcher = workload.dispatcherFor(origin, trusting(web));
  await (await request(origin, { dispatcher })).body.text();
  // Retired before its end, so that no request is cut short.
  await closed;
  await expect
    .poll(() => request(origin, { dispatcher }).then(dump, (error) => error.code), {
      timeout: 5000,
    })
    .toBe('CERT_HAS_EXPIRED');
});

test('tokens are got of an issuer with a certificate of its own', async () => {
  const issuerUrl = await serve(['localhost']);
  const wish = { resource: 'https://api.bank.example/accounts' };
  const tokens = accessTokens(workload, {
    issuerUrl,
    issuerAuthorities: [web.certificate],
  });
  const { value } = await tokens.get(wish);
  const { cnf } = JSON.parse(Buffer.from(value.split('.')[1] ?? '', 'base64url').toString());
  expect(cnf['x5t#S256']).toBe(own());
  await expect(accessTokens(workload, { issuerUrl }).get(wish)).rejects.toMatchObject({
    code: 'ERR_SDK_AUTHORITY_UNREACHABLE',
  });
});

test('no authorities are not those of the system', () => {
  expect(() => workload.dispatcherFor('https://localhost:1', { authorities: [] })).toThrow(
    "could not use web server: found no authorities, expected one or more, or 'system'",
  );
});

test('an issuer is known by its SPIFFE ID or its host name, not both', () => {
  expect(() =>
    accessTokens(workload, {
      ...{ issuerUrl: 'https://localhost:1', issuerSpiffeId: AUTHORITY_ID },
      issuerAuthorities: 'system',
    }),
  ).toThrow('found issuerSpiffeId and issuerAuthorities, expected one of them');
});
