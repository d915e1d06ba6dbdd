import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT, startChild } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import type { PostgresPlace } from '@countersign/test-support/postgres';
import { SignJWT } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import {
  createMaker,
  MODEL,
  SoftwareAuthenticator,
} from '../../identity/test/login/software-authenticator.ts';
import { openTeller, REDIRECT } from '../../identity/test/login/teller.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const AUDIENCE = 'https://api.bank.example/accounts';
export const ALICE = 'human/alice';
/** Where a request for the issuer goes: as a load balancer would choose. */
export type Via = 'authority' | 'issuer-b';

/**
 * An authority on a PostgreSQL, an issuer beside it and a gateway that enforces, each a process of its own; people who sign in,
 * and a client of openid-client's. All of them know one name of the issuer.
 */
export async function issuerBank(place: PostgresPlace) {
  const folder = await temporaryFolder();
  const [bank, data] = [join(folder.path, 'bank'), join(folder.path, 'data')];
  const dataB = join(folder.path, 'b');
  const api = createServer((_, answer) => answer.end('from the api'));
  const [control, issuer, issuerB, edge] = await Promise.all(Array.from({ length: 4 }, freePort));
  await once(api.listen(0, '127.0.0.1'), 'listening');
  const maker = await createMaker();
  const [reporterKeys, tellerKeys] = [newKeys(), newKeys()];
  await countersign(['init', bank]);
  const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of edits) {
      if (text.search(from) < 0) throw new Error(`found no ${from} in ${file}`);
      text = text.replace(from, to);
    }
    await writeFile(join(bank, file), text);
  };
  await mkdir(join(bank, 'trust'), { recursive: true });
  const pem = Buffer.from(maker.root).toString('base64').replace(/.{64}/g, '$&\n');
  await writeFile(
    join(bank, 'trust/keys.pem'),
    `-----BEGIN CERTIFICATE-----\n${pem}\n-----END CERTIFICATE-----\n`,
  );
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    [/# clientAuthorities: .*/, 'clientAuthorities: [trust/keys.pem]'],
    [
      / {2}svidTtl:/,
      `  storage: { postgres: { host: ${place.host}, database: ${place.database}, user: ${place.user} } }
  issuers: [{ name: issuer-b, address: '127.0.0.1:${issuerB}' }]
  login:
    name: Example Bank
    hardwareKeys: { roots: [trust/keys.pem], aaguids: [${MODEL}] }
  svidTtl:`,
    ],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  await edit('policies/accounts.cedar', [
    [
      /^/,
      '@id("those-with-tokens-list") permit (principal, action == Accounts::Action::"ListAccounts", resource) when { context has scopes && context.scopes.contains("accounts") };\n',
    ],
  ]);
  await writeFile(
    join(bank, 'identities/people.yaml'),
    `- { id: ${ALICE}, owner: hr@bank.example }
- { id: human/bob, owner: hr@bank.example }
- id: workload/reporter
  owner: reports@bank.example
  client:
    id: reporter
    authentication: private_key_jwt
    jwks: [${jwkText(reporterKeys, 'r1')}]
    binding: dpop
    scopes: [accounts]
    audiences: [${AUDIENCE}]
- id: workload/teller
  owner: branches@bank.example
  client:
    id: teller
    authentication: private_key_jwt
    jwks: [${jwkText(tellerKeys, 't1')}]
    scopes: [accounts]
    audiences: [${AUDIENCE}]
    people: { redirectUris: [${REDIRECT}], refresh: true }
`,
  );
  const command = (...words: string[]) => [
    process.execPath,
    '--conditions=@countersign/source',
    join(import.meta.dirname, '../src/main.ts'),
    ...words,
  ];
  const start = (name: string, ...words: string[]) =>
    startChild({
      name,
      command: command(...words),
      env: {},
      logFile: join(folder.path, `logs/${name}.txt`),
    });
  const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
  const joinToken = async (name: string): Promise<string> => {
    const made = await onData('join-token', `workload/countersign/${name}`);
    if (made.code !== EXIT.ok) throw new Error(made.err);
    const file = join(folder.path, `${name}.token`);
    await writeFile(file, made.out);
    return file;
  };
  const startAuthority = () => start('authority', 'authority', '-C', bank, '-d', data);
  const authority = await startAuthority();
  const trust = ['--trust', join(data, 'trust.json')];
  const tokenB = await joinToken('issuer-b');
  const issuerWords = ['issuer', 'issuer-b', '-d', dataB, ...trust, '--join-token-file', tokenB];
  const startIssuer = () => start('issuer-b', ...issuerWords);
  const [issuerProcess, gateway] = await Promise.all([
    startIssuer(),
    start(
      'edge',
      ...['gateway', 'edge', '-d', join(folder.path, 'edge'), ...trust],
      ...['--join-token-file', await joinToken('edge')],
    ),
  ]);
  const issuerUrl = `https://localhost:${issuer}`;
  const agent = new Agent({ connect: { ca: await readFile(join(data, 'trust.pem'), 'utf8') } });
  let via: Via = 'authority';
  const fetchIt = ((url: string | URL, init: object) => {
    const there = new URL(url);
    if (there.origin === issuerUrl && via === 'issuer-b') there.port = `${issuerB}`;
    return undiciFetch(there, { ...init, dispatcher: agent } as never);
  }) as unknown as typeof fetch;
  const key = await crypto.subtle.importKey(
    'pkcs8',
    reporterKeys.privateKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  const config = await client.discovery(
    new URL(issuerUrl),
    'reporter',
    undefined,
    client.PrivateKeyJwt({ key, kid: 'r1' }),
    { [client.customFetch]: fetchIt as never },
  );
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const edgeUrl = new URL(`https://localhost:${edge}/accounts-api/accounts`);
  return {
    ...{ bank, data, dataB, issuerUrl, edgeUrl, onData, fetchIt, edit },
    edgeData: join(folder.path, 'edge'),
    ...{ authority, issuerProcess, startAuthority, startIssuer, issuerWords },
    go(to: Via): void {
      via = to;
    },
    /** A token for the client itself, by openid-client. */
    async token(): Promise<string> {
      const asked = { scope: 'accounts', resource: AUDIENCE };
      return (await client.clientCredentialsGrant(config, asked, { DPoP: dpop })).access_token;
    },
    /** One request through the gateway. */
    async call(token: string): Promise<number> {
      const response = await client
        .fetchProtectedResource(config, token, edgeUrl, 'GET', null, undefined, { DPoP: dpop })
        .catch((error: { response?: Response }) => {
          if (error.response) return error.response;
          throw error;
        });
      await response.body?.cancel();
      return response.status;
    },
    assertion: () =>
      new SignJWT({ aud: issuerUrl, jti: crypto.randomUUID() })
        .setIssuer('reporter')
        .setSubject('reporter')
        .setIssuedAt()
        .setExpirationTime('60s')
        .setProtectedHeader({ alg: 'ES256', kid: 'r1' })
        .sign(reporterKeys.privateKey),
    async proof(): Promise<string> {
      const keys = newKeys();
      return new SignJWT({ htm: 'POST', htu: `${issuerUrl}/token`, jti: crypto.randomUUID() })
        .setIssuedAt()
        .setProtectedHeader({
          ...{ alg: 'ES256', typ: 'dpop+jwt' },
          jwk: keys.publicKey.export({ format: 'jwk' }) as never,
        })
        .sign(keys.privateKey);
    },
    /** The same client by hand. */
    async ask(assertion: string, DPoP: string): Promise<{ status: number; error?: string }> {
      const response = await fetchIt(`${issuerUrl}/token`, {
        method: 'POST',
        headers: { DPoP, 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          ...{ grant_type: 'client_credentials', scope: 'accounts', resource: AUDIENCE },
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
        }).toString(),
      });
      return { status: response.status, ...((await response.json()) as object) };
    },
    teller: () => openTeller({ issuerUrl, key: tellerKeys.privateKey, fetch: fetchIt }),
    newKey: async () =>
      new SoftwareAuthenticator({ aaguid: MODEL, attestation: await maker.attestation() }),
    log: (name: string) => readFile(join(folder.path, `logs/${name}.txt`), 'utf8'),
    /** `processes` are those that may still run. */
    async close(processes: readonly { stop(how: { graceMs: number }): Promise<void> }[]) {
      await Promise.all([...processes, gateway].map((each) => each.stop({ graceMs: 5000 })));
      await agent.destroy();
      api.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function newKeys() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function jwkText({ publicKey }: ReturnType<typeof newKeys>, kid: string): string {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return `{ kty: EC, crv: P-256, kid: ${kid}, x: ${x}, y: ${y} }`;
}
