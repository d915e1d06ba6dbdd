import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import {
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { decodeJwt, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { expect, test } from 'vitest';
import { countersign, temporaryFolder } from './test-io.ts';

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: ReturnType<typeof newKey>['privateKey']) =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

test('a receiver is told what the operator does, an IdP’s word ends a session, and both are in the record', async () => {
  await using folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer, signals, idpPort] = await Promise.all(
    Array.from({ length: 4 }, freePort),
  );
  const url = `https://127.0.0.1:${signals}`;

  // The SIEM of the bank, an OAuth client with a certificate of its own authority.
  const keys = newKey();
  const siemAuthority = await createPrivateAuthority({
    ...{ commonName: 'SIEM CA', signer: softwareSigner(newKey()), now: Date.now },
  });
  const { chain } = await siemAuthority.issueClientCertificate({
    ...{ commonName: 'siem', publicKey: keys.publicKey, ttlSeconds: 3600 },
  });
  await mkdir(join(bank, 'trust'), { recursive: true });
  await writeFile(join(bank, 'trust/siem.pem'), encodePem(chain));

  // The bank's IdP, which publishes its keys and pushes.
  const idpKeys = newKey();
  const idpAuthority = await createX509Authority({
    ...{ trustDomain: 'idp.example', signer: softwareSigner(newKey()), now: Date.now },
  });
  const idpTls = await idpAuthority.issueSvid({
    spiffeId: parseSpiffeId('spiffe://idp.example/idp'),
    ...{ publicKey: idpKeys.publicKey, ttlSeconds: 3600, ipAddresses: ['127.0.0.1'] },
  });
  await writeFile(join(bank, 'trust/idp-ca.pem'), encodePem([idpAuthority.certificate]));
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const idp = createServer(
    { cert: encodePem(idpTls.chain), key: pem(idpKeys.privateKey) },
    (_, response) =>
      response.end(
        JSON.stringify({
          keys: [{ ...signing.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256' }],
        }),
      ),
  ).listen(idpPort, '127.0.0.1');
  await once(idp, 'listening');
  const idpUrl = `https://127.0.0.1:${idpPort}`;
  const secret = `Bearer ${randomBytes(32).toString('base64url')}`;

  const file = join(bank, 'countersign.yaml');
  const config = (await readFile(file, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace(
      /^authority:\n/m,
      `authority:
  signals:
    address: 127.0.0.1:${signals}
    url: ${url}
    receivers: [{ client: siem }]
    transmitters:
      - name: idp
        owner: iam@bank.example
        issuer: ${idpUrl}
        jwksUrl: ${idpUrl}/jwks
        caFile: trust/idp-ca.pem
        authorizationHash: ${createHash('sha256').update(secret).digest('base64url')}
        subjects: { kind: human }
        may: [end-sessions, disable]
`,
    );
  await writeFile(file, config);
  const entry = (audiences: string) => `
- id: workload/siem
  owner: soc@bank.example
  certificates: [trust/siem.pem]
  client:
    id: siem
    authentication: tls_client_auth
    scopes: [ssf.read, ssf.manage]
    audiences: [${audiences}]
- id: human/alice
  owner: hr@bank.example
`;
  const identities = join(bank, 'identities/signals.yaml');
  await writeFile(identities, entry('https://api.bank.example/accounts'));
  const faulty = await countersign(['check', '-C', bank]);
  expect(faulty.out + faulty.err).toContain(`client 'siem' without the audience '${url}'`);
  await writeFile(identities, entry(url));

  const stop = new AbortController();
  const ready = Promise.withResolvers<string>();
  const start = () =>
    countersign(['authority', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: ready.resolve,
    });
  const ran = start();
  void ran.then(({ err }) => ready.reject(new Error(err)));
  await ready.promise;
  const agent = new Agent({
    connect: {
      ca: await readFile(join(data, 'trust.pem'), 'utf8'),
      ...{ cert: encodePem(chain), key: pem(keys.privateKey) },
    },
  });
  try {
    const call = async (to: string, how: { headers: Record<string, string>; body?: string }) => {
      const answer = await request(to, { dispatcher: agent, method: 'POST', ...how });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: text === '' ? undefined : JSON.parse(text) };
    };
    const token = await call(`https://127.0.0.1:${issuer}/token`, {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        ...{ grant_type: 'client_credentials', client_id: 'siem', resource: url },
        scope: 'ssf.read ssf.manage',
      }).toString(),
    });
    expect(token.status).toBe(200);
    const authorized = {
      authorization: `Bearer ${token.body.access_token}`,
      'content-type': 'application/json',
    };
    const created = await call(`${url}/ssf/streams`, { headers: authorized, body: '{}' });
    expect(created.status).toBe(201);

    const alice = 'spiffe://bank.example/human/alice';
    const onData = (...words: string[]) => countersign([...words, '-d', data]);
    await onData('revoke', 'subject', alice, '--reason', 'left the bank');
    const polled = await call(created.body.delivery.endpoint_url, {
      headers: authorized,
      body: JSON.stringify({ returnImmediately: false }),
    });
    const [set = ''] = Object.values<string>(polled.body.sets);
    // By name, though the log has her by pseudonym only.
    expect(decodeJwt(set)).toMatchObject({
      iss: url,
      aud: 'siem',
      sub_id: { format: 'iss_sub', iss: url, sub: alice },
      events: {
        'https://schemas.openid.net/secevent/risc/event-type/account-disabled': {
          ...{ initiating_entity: 'admin', reason_admin: { en: 'left the bank' } },
        },
      },
    });
    const list = await onData('signals', 'list');
    expect([list.code, list.out]).toEqual([
      0,
      expect.stringMatching(
        /^to siem {2}\S+ {2}poll {2}enabled: 1 waits, the oldest for \d+ s\nfrom idp {2}push {2}https/,
      ),
    ]);
    await onData('revoke', '--reinstate', 'subject', alice);

    const pushed = async (type: string, headers: Record<string, string> = {}) =>
      call(`${url}/signals/idp`, {
        headers: { 'content-type': 'application/secevent+jwt', authorization: secret, ...headers },
        body: await new SignJWT({
          ...{ iss: idpUrl, aud: url, jti: randomBytes(8).toString('hex') },
          iat: Math.floor(Date.now() / 1000),
          sub_id: { format: 'iss_sub', iss: idpUrl, sub: 'alice' },
          events: { [`https://schemas.openid.net/secevent/risc/event-type/${type}`]: {} },
        })
          .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'secevent+jwt' })
          .sign(signing.privateKey),
      });
    expect(await pushed('account-disabled')).toMatchObject({ status: 202 });
    expect(await pushed('account-disabled', { authorization: 'x' })).toMatchObject({ status: 400 });
    const found = await onData(
      ...['find', '--action', 'signal-received', '--names', 'a test of signals', '--json'],
    );
    expect(JSON.parse(found.out).answer.rows).toMatchObject([
      {
        event: {
          ...{ by: 'signals:idp', target: alice },
          detail: { type: 'account-disabled', outcome: 'disabled' },
        },
      },
    ]);
    const paused = await onData('signals', 'set', created.body.stream_id, 'paused');
    expect(paused.out).toContain('is paused');
    expect((await onData('signals', 'verify', 'nothing')).err).toContain("no stream 'nothing'");
  } finally {
    await agent.destroy();
    idp.closeAllConnections();
    idp.close();
    stop.abort();
    await ran;
  }
}, 60_000);
