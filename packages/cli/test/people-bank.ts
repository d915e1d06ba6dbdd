import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { connectWorkload } from '@countersign/sdk';
import {
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose';
import { stolenTokenKey } from '../../identity/test/stolen-authority.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const SCIM_TOKEN = 'a-token-of-the-client-entra-0123456789';
const AUDIENCE = 'https://api.bank.example/accounts';

/** An answer of the SCIM server or of the protected API. */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  readonly body: any;
}

/** A stream that a caller has open, which has delivered its first event. */
export interface OpenStream {
  /** Resolves when it is dead, at the time of `performance.now()`. */
  readonly dead: Promise<number>;
}

/**
 * An authority with a SCIM server and the gateway `edge` in this process, before an API that answers with a stream; clerks may list accounts.
 * People cannot log in here yet, so their tokens are signed with the issuer's own key, as the issuer would.
 */
export async function startPeopleBank({ hasCertificate = false } = {}) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer, edge, scim] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const open = new Set<ServerResponse>();
  const api = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' });
    answer.write('data: 1\n\n');
    open.add(answer);
    answer.once('close', () => open.delete(answer));
  });
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await mkdir(join(bank, 'trust'));
  const partners = await createPrivateAuthority({
    commonName: 'Partners',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  await writeFile(join(bank, 'trust/partner-ca.pem'), encodePem([partners.certificate]));
  // What a cloud would trust: of an authority that is none of ours.
  const scimKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const webAuthority = await createX509Authority({
    ...{ trustDomain: 'web.example', now: Date.now },
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  });
  const web = await webAuthority.issueSvid({
    spiffeId: parseSpiffeId('spiffe://web.example/scim'),
    ...{ publicKey: scimKey.publicKey, ttlSeconds: 3600, dnsNames: ['localhost'] },
  });
  const webCa = encodePem([webAuthority.certificate]);
  if (hasCertificate) {
    await writeFile(join(folder.path, 'scim.pem'), encodePem(web.chain));
    const pem = scimKey.privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(folder.path, 'scim.key'), pem, { mode: 0o600 });
  }
  const edit = async (file: string, pairs: readonly [string | RegExp, string][]) => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of pairs) text = text.replace(from, to);
    await writeFile(join(bank, file), text);
  };
  const sha256 = createHash('sha256').update(SCIM_TOKEN).digest('base64url');
  const inAYear = new Date(Date.now() + 300 * 86_400_000).toISOString().slice(0, 10);
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    ['# clientAuthorities', 'clientAuthorities'],
    [
      '  accessTokenTtl: 5m\n',
      `  accessTokenTtl: 5m
  people:
    attributes: { department: department }
    groups:
      - { source: scim:entra, displayName: Clerks, parent: { type: Group, id: clerks } }
    hr: { createsPeople: true }
    scim:
      address: 127.0.0.1:${scim}
${hasCertificate ? '      certificateFile: ../scim.pem\n      keyFile: ../scim.key\n' : ''}      url: https://localhost:${scim}
      clients:
        - { name: entra, owner: iam@bank.example, tokens: [{ sha256: ${sha256}, ends: ${inAYear} }] }
        - { name: midpoint, owner: iam@bank.example, subject: workload/iam/midpoint }
`,
    ],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  await edit('policies/accounts.cedar', [
    [
      /^/,
      '@id("clerks-list") permit (principal is Human in Group::"clerks", action == Accounts::Action::"ListAccounts", resource);\n',
    ],
  ]);
  await edit('policies/schema.cedarschema', [
    [/^/, 'entity Human in [Group, Role] = { department?: String };\n'],
  ]);
  await edit('identities/workloads.yaml', [
    [
      /$/,
      '\n- { id: agent/reconciler, owner: alice@bank.example }\n- { id: workload/orphan, owner: nobody@bank.example }\n- { id: workload/iam/midpoint, owner: iam@bank.example }\n- { id: workload/iam/other, owner: iam@bank.example }\n',
    ],
  ]);

  const stop = new AbortController();
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      isTerminal: true,
      stop: stop.signal,
      onOut: (text) => void (text.includes('ready;') && resolve()),
    });
    void running.then(({ err, out }) => reject(new Error(err + out)));
  });
  const ca = await readFile(join(data, 'trust.pem'), 'utf8');
  const issuerKey = await stolenTokenKey(data);
  const dpop = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const dpopJwk = await exportJWK(dpop.publicKey);

  async function tokenFor(subject: string): Promise<string> {
    const { kid, privateKey } = issuerKey;
    return new SignJWT({
      client_id: 'app',
      scope: 'accounts',
      sid: `session-of-${subject.slice(-8)}`,
      cnf: { jkt: await calculateJwkThumbprint(dpopJwk) },
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(`https://localhost:${issuer}`)
      .setSubject(subject)
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime('4m')
      .sign(privateKey);
  }

  async function headersFor(token: string): Promise<Record<string, string>> {
    const url = `https://localhost:${edge}/accounts-api/accounts`;
    const proof = await new SignJWT({
      htm: 'GET',
      htu: url,
      jti: randomUUID(),
      ath: createHash('sha256').update(token).digest('base64url'),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: dpopJwk })
      .setIssuedAt()
      .sign(dpop.privateKey);
    return { authorization: `DPoP ${token}`, dpop: proof };
  }

  const ask = (options: RequestOptions, body?: unknown) =>
    new Promise<Answer>((resolve, reject) => {
      const asking = request(
        { host: 'localhost', family: 4, ca, agent: false, ...options },
        async (answer) => {
          const text = Buffer.concat(await answer.toArray()).toString();
          const isJson = String(answer.headers['content-type']).includes('json');
          resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        },
      );
      asking.on('error', reject);
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    });

  return {
    data,
    bank,
    onData: (...words: readonly string[]) => countersign([...words, '-d', data]),
    /** A request of the SCIM client. */
    scim: (method: string, path: string, body?: unknown, token = SCIM_TOKEN) =>
      ask(
        {
          method,
          ...{ port: scim, ...(hasCertificate && { ca: webCa }) },
          path: `/scim/v2${path}`,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body !== undefined && { 'content-type': 'application/scim+json' }),
          },
        },
        body,
      ),
    /** Becomes a workload; gives how it asks the SCIM server with its SVID, and no token. */
    async scimAs(subject: string) {
      const { out: joinToken } = await countersign(['join-token', subject, '-d', data]);
      const trust = JSON.parse(await readFile(join(data, 'trust.json'), 'utf8'));
      const workload = await connectWorkload({
        authorityUrl: trust.controlUrl,
        authoritySpiffeId: 'spiffe://bank.example/workload/countersign/authority',
        x509Authorities: trust.x509Authorities,
        factKeys: trust.factKeys,
        trustDomain: 'bank.example',
        joinToken: joinToken.trim(),
      });
      return {
        ask: (method: string, path: string, body?: unknown) =>
          ask(
            {
              ...{ method, port: scim, path: `/scim/v2${path}` },
              ...{ cert: encodePem(workload.chain), key: workload.keyPem },
              headers: body === undefined ? {} : { 'content-type': 'application/scim+json' },
            },
            body,
          ),
        close: () => workload.close(),
      };
    },
    /** Which version of TLS the SCIM listener speaks with a client that has none newer than this. */
    async scimTls(maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string> {
      const socket = connect({
        ...{ host: 'localhost', family: 4, port: scim, servername: 'localhost', maxVersion },
        ca: hasCertificate ? webCa : ca,
      });
      try {
        await once(socket, 'secureConnect');
        return `${socket.getProtocol()} ${socket.getCipher().name}`;
      } finally {
        socket.destroy();
      }
    },
    tokenFor,
    /** Opens the stream; what is refused is an error with its status. */
    async stream(token: string): Promise<OpenStream> {
      const headers = await headersFor(token);
      return new Promise((resolve, reject) => {
        const asking = request(
          {
            ...{ host: 'localhost', family: 4, ca, agent: false },
            ...{ port: edge, path: '/accounts-api/accounts', headers },
          },
          (answer) => {
            if (answer.statusCode !== 200) {
              answer.resume();
              reject(
                Object.assign(
                  new Error(`found ${answer.statusCode} ${answer.headers['www-authenticate']}`),
                  {
                    status: answer.statusCode,
                  },
                ),
              );
              return;
            }
            const dead = new Promise<number>((end) => {
              answer.once('close', () => end(performance.now()));
            });
            answer.on('error', () => {});
            answer.once('data', () => resolve({ dead }));
          },
        );
        asking.on('error', reject);
        asking.end();
      });
    },
    /** Streams that the API has open. */
    openAtApi: () => open.size,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      api.closeAllConnections();
      api.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
