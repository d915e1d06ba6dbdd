import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

export const AUDIENCE = 'https://api.bank.example/accounts';
export const REPORTER = 'spiffe://bank.example/workload/reporter';

/** An authority and a gateway that enforces, and a client of openid-client's that gets tokens and calls with them. */
export async function tokenBank({ ca = '{}' }: { readonly ca?: string } = {}) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  const api = createServer((_, answer) => answer.end('from the api'));
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await countersign(['init', bank]);
  // Callers without an SVID are known by their tokens where partners are known at all.
  await mkdir(join(bank, 'trust'));
  const partners = await createPrivateAuthority({
    commonName: 'Partners',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  await writeFile(join(bank, 'trust/partner-ca.pem'), encodePem([partners.certificate]));
  const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of edits) text = text.replace(from, to);
    await writeFile(join(bank, file), text);
  };
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    ['# clientAuthorities', 'clientAuthorities'],
    ['  svidTtl:', `  ca: ${ca}\n  svidTtl:`],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  await edit('policies/accounts.cedar', [
    [
      /^/,
      `@id("reporter-lists") permit (principal == Workload::"${REPORTER}", action == Accounts::Action::"ListAccounts", resource);\n`,
    ],
  ]);
  const { x, y } = keys.publicKey.export({ format: 'jwk' });
  await edit('identities/workloads.yaml', [
    [
      /$/,
      `
- id: workload/reporter
  owner: reports@bank.example
  client:
    id: reporter
    authentication: private_key_jwt
    jwks: [{ kty: EC, crv: P-256, kid: r1, x: ${x}, y: ${y} }]
    binding: dpop
    scopes: [accounts]
    audiences: [${AUDIENCE}]
`,
    ],
  ]);
  const stop = new AbortController();
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    void running.then(({ err, out }) => reject(new Error(err + out)));
  });
  const agent = new Agent({ connect: { ca: await readFile(join(data, 'trust.pem'), 'utf8') } });
  const fetchIt = ((url: string | URL, init: object) =>
    undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;
  const issuerUrl = `https://localhost:${issuer}`;
  const edgeUrl = new URL(`https://localhost:${edge}/accounts-api/accounts`);
  const key = await crypto.subtle.importKey(
    'pkcs8',
    keys.privateKey.export({ type: 'pkcs8', format: 'der' }),
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
  const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
  const slots = async (): Promise<{ id: string; state: string }[]> =>
    JSON.parse((await onData('ca', 'show', 'token', '--json')).out).token.authorities;
  return {
    ...{ data, issuerUrl, onData, slots },
    async ca(...words: string[]): Promise<void> {
      const { code, out, err } = await onData('ca', ...words);
      if (code !== EXIT.ok) throw new Error(out + err);
    },
    idOf: async (state: string) =>
      (await slots()).findLast((slot) => slot.state === state)?.id ?? 'none',
    async token(): Promise<string> {
      const asked = { scope: 'accounts', resource: AUDIENCE };
      return (await client.clientCredentialsGrant(config, asked, { DPoP: dpop })).access_token;
    },
    /** One request through the gateway. */
    async call(token: string): Promise<number> {
      const response = await client
        .fetchProtectedResource(config, token, edgeUrl, 'GET', null, undefined, { DPoP: dpop })
        .catch((error: { response?: Response }) => {
          // openid-client throws for challenges.
          if (error.response) return error.response;
          throw error;
        });
      await response.body?.cancel();
      return response.status;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await agent.destroy();
      api.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
