import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EXIT } from '@countersign/cli';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Browser } from '../../identity/test/login/browser.ts';
import { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { openTeller, type Teller } from '../../identity/test/login/teller.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// An authority and a gateway that enforces, in this process, as the guide sets them up: from alice's passkey over two agents
// to the API.
const GUIDE = readFileSync(new URL('../../../docs/operate/delegation.md', import.meta.url), 'utf8');
const DETAILS = readFileSync(
  new URL('../../../docs/operate/authorization-details.md', import.meta.url),
  'utf8',
);
const ACCOUNTS = 'https://api.bank.example/accounts';
const ASSISTANT = 'https://agents.bank.example/assistant';
const BOOKER = 'https://agents.bank.example/booker';
const id = (path: string) => `spiffe://bank.example/${path}`;

function block(file: string, guide = GUIDE): string {
  const [, text] =
    new RegExp(`^\`\`\`\\w+ file=${file}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(guide) ?? [];
  if (text === undefined) throw new Error(`the guide shows no ${file}`);
  return text;
}

interface GuideAgent {
  readonly config: client.Configuration;
  readonly DPoP: client.DPoPHandle;
}
interface Guide {
  open(
    issuerUrl: string,
    clientId: string,
    key: webcrypto.CryptoKey,
    more: object,
  ): Promise<GuideAgent>;
  actFor(agent: GuideAgent, token: string, resource: string, scope: string): Promise<string>;
}

const stop = new AbortController();
const api = createServer((request, answer) => answer.end(`${request.method} done`));
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let running: Promise<Ran>;
let agent: Agent;
let teller: Teller;
let guide: Guide;
let assistant: GuideAgent;
let booker: GuideAgent;
let issuerUrl: string;
let edgeUrl: string;
const alice = new SoftwareAuthenticator();
const ran: string[] = [];
const fetchIt = ((url: string | URL, init: object) =>
  undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;

beforeAll(async () => {
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  const [tellerKey, assistantKey, bookerKey] = [newKey(), newKey(), newKey()];
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await countersign(['init', bank]);
  const [, details = ''] = block('countersign.yaml', DETAILS).split('authority:\n');
  const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
    const path = join(bank, file);
    let text = await readFile(path, 'utf8');
    for (const [from, to] of edits) {
      if (text.search(from) < 0) throw new Error(`found no ${from} in ${file}`);
      text = text.replace(from, to);
    }
    await writeFile(path, text);
  };
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    [/# clientAuthorities: .*/, 'clientAuthorities: [trust/partner.pem]'],
    [/ {2}svidTtl:/, `${details}  login: { name: Example Bank }\n  svidTtl:`],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  const agents = [assistantKey, bookerKey].reduce(
    (text, key) => text.replace('x: …, y: …', coordinates(key)),
    block('identities/agents.yaml'),
  );
  await writeFile(
    join(bank, 'identities/people.yaml'),
    `- { id: human/alice, owner: hr@bank.example }
- id: workload/teller
  owner: branches@bank.example
  client:
    id: teller
    authentication: private_key_jwt
    jwks: [{ kty: EC, crv: P-256, kid: t1, ${coordinates(tellerKey)} }]
    scopes: [accounts]
    audiences: [${ACCOUNTS}, ${ASSISTANT}]
    people: { redirectUris: [https://teller.bank.example/callback] }
    authorizationDetailsTypes: [purpose, payment_initiation]
`,
  );
  await writeFile(join(bank, 'identities/agents.yaml'), agents);
  await writeFile(join(bank, 'policies/agents.cedar'), block('policies/agents.cedar'));
  await writeFile(join(bank, 'policies/purposes.cedar'), block('policies/purposes.cedar', DETAILS));
  await makeTrust(bank);
  const checked = await countersign(['check', '-C', bank]);
  expect([checked.code, checked.out]).toEqual([EXIT.ok, expect.any(String)]);
  await new Promise<void>((resolve, reject) => {
    running = countersign(['start', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: (text) => text.includes('"ready":true') && resolve(),
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
  agent = new Agent({ connect: { ca: await readFile(join(data, 'trust.pem'), 'utf8') } });
  issuerUrl = `https://localhost:${issuer}`;
  edgeUrl = `https://localhost:${edge}/accounts-api`;
  teller = await openTeller({ issuerUrl, key: tellerKey, fetch: fetchIt });
  const file = join(folder.path, 'agent.mjs');
  await writeFile(file, block('agent.mjs'));
  await symlink(
    join(import.meta.dirname, '../../../node_modules'),
    join(folder.path, 'node_modules'),
  );
  guide = (await import(pathToFileURL(file).href)) as Guide;
  const more = { [client.customFetch]: fetchIt };
  assistant = await guide.open(issuerUrl, 'assistant', await signing(assistantKey), more);
  booker = await guide.open(issuerUrl, 'booker', await signing(bookerKey), more);
  const { out } = await onData('passkey', 'invite', 'human/alice', '--json');
  await new Browser(issuerUrl, fetchIt).enrol(JSON.parse(out).code, alice);
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  await agent?.destroy();
  api.close();
  await folder[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => {
  ran.push(words.join(' '));
  return countersign([...words, '-d', data]);
};

/** Alice signs in, and the application hands a token on that is for the assistant. */
async function handed(): Promise<string> {
  const pending = await teller.begin({ resource: ASSISTANT });
  const callback = await new Browser(issuerUrl, fetchIt).signIn(pending.url, alice);
  return (await teller.finish(callback, pending)).access_token;
}

const call = async ({ config, DPoP }: GuideAgent, token: string, path: string, method = 'GET') => {
  const asking = client.fetchProtectedResource(
    ...([config, token, new URL(`${edgeUrl}${path}`), method] as const),
    ...([null, undefined, { DPoP }] as const),
  );
  // openid-client throws for challenges; the response is with them.
  const answer = await asking.catch((error: { response?: Response }) => error.response as Response);
  return answer.status;
};

test('two agents in a chain reach the API in her name, and policy decides by her and by them', async () => {
  const first = await guide.actFor(assistant, await handed(), BOOKER, 'accounts');
  const token = await guide.actFor(booker, first, ACCOUNTS, 'accounts');
  expect(decodeJwt(token)).toMatchObject({
    sub: id('human/alice'),
    act: { sub: id('agent/booker'), act: { sub: id('agent/assistant') } },
  });
  expect(await call(booker, token, '/accounts/1')).toBe(200);
  // What she may do, and no agent for her.
  expect(await call(booker, token, '/accounts/1', 'DELETE')).toBe(403);
  // Neither the token that was handed on nor that of the agent in between opens the API.
  expect(await call(booker, first, '/accounts/1')).toBe(401);
  expect(await call(assistant, token, '/accounts/1')).toBe(401);
  const { out } = await onData('events', '--kind', 'administration', '--json');
  // Who asked stands in the clear; what it asked for in her name is sealed with her.
  expect(out).toContain(`"action":"token-issued","by":"${id('agent/booker')}"`);
  const decisions = async () =>
    (await onData('find', '--subject', 'human/alice', '--kind', 'decision', '--json')).out;
  await expect.poll(decisions).toContain('agent/assistant');
});

test('an agent that is registered by API acts at once and after apply, and for nobody when it is taken away', async () => {
  const key = newKey();
  const file = join(folder.path, 'scribe.yaml');
  const scribe = (from: string) => `id: agent/scribe
owner: assistants@bank.example
client:
  id: scribe
  authentication: private_key_jwt
  jwks: [{ kty: EC, crv: P-256, kid: k1, ${coordinates(key)} }]
  scopes: [accounts]
  audiences: [${ACCOUNTS}]
  exchange: { from: [${from}], serves: [${ASSISTANT}] }
`;
  await writeFile(file, scribe('nobody'));
  const unknown = await onData('identity', 'register', file);
  expect([unknown.code, unknown.out]).toEqual([1, expect.stringContaining("'nobody'")]);
  await writeFile(file, scribe('teller'));
  expect((await onData('identity', 'register', file)).code).toBe(EXIT.ok);
  const more = { [client.customFetch]: fetchIt };
  const agentOfApi = await guide.open(issuerUrl, 'scribe', await signing(key), more);
  const acts = async () => guide.actFor(agentOfApi, await handed(), ACCOUNTS, 'accounts');
  const actsAsItself = async () => {
    const token = await acts();
    expect(decodeJwt(token)).toMatchObject({
      ...{ sub: id('human/alice'), act: { sub: id('agent/scribe') } },
    });
    // The point knows it, and policy lets nobody but the booker act.
    await expect.poll(() => call(agentOfApi, token, '/accounts/1')).toBe(403);
    return token;
  };
  await actsAsItself();
  expect((await onData('apply')).code).toBe(EXIT.ok);
  const token = await actsAsItself();
  const gone = await onData('identity', 'unregister', 'agent/scribe');
  expect([gone.code, gone.err]).toEqual([EXIT.ok, '']);
  await expect(acts()).rejects.toMatchObject({ error: 'invalid_client' });
  await expect.poll(() => call(agentOfApi, token, '/accounts/1')).toBe(401);
});

test('a purpose that she said and approved opens what wants it, and another one does not', async () => {
  const direct = async (...details: readonly unknown[]) => {
    const pending = await teller.begin({
      ...(details.length > 0 && { authorization_details: JSON.stringify(details) }),
    });
    const callback = await new Browser(issuerUrl, fetchIt).signIn(pending.url, alice);
    const { access_token } = await teller.finish(callback, pending);
    const app = { config: teller.config, DPoP: teller.dpop };
    return call(app, access_token, '/accounts/1', 'DELETE');
  };
  expect(await direct()).toBe(403);
  expect(await direct({ type: 'purpose', code: 'fraud-review' })).toBe(403);
  expect(await direct({ type: 'purpose', code: 'customer-request' })).toBe(200);
  // As the guide asks, with the content of a payment.
  expect(await direct(...JSON.parse(block('details.json', DETAILS)))).toBe(200);
});

test('ending her session ends what the agents hold', async () => {
  const first = await guide.actFor(assistant, await handed(), BOOKER, 'accounts');
  const token = await guide.actFor(booker, first, ACCOUNTS, 'accounts');
  expect(await call(booker, token, '/accounts/1')).toBe(200);
  const sid = String(decodeJwt(token)['sid']);
  expect((await onData('session', 'end', sid, '--reason', 'laptop stolen')).code).toBe(EXIT.ok);
  await expect.poll(() => call(booker, token, '/accounts/1')).toBe(401);
  await expect(guide.actFor(booker, first, ACCOUNTS, 'accounts')).rejects.toMatchObject({
    error: 'invalid_request',
  });
});

test('revoking the agent in the middle refuses the chain at once, and no more is issued', async () => {
  const first = await guide.actFor(assistant, await handed(), BOOKER, 'accounts');
  const token = await guide.actFor(booker, first, ACCOUNTS, 'accounts');
  expect(await call(booker, token, '/accounts/1')).toBe(200);
  const revoked = await onData(
    ...['revoke', 'subject', 'agent/assistant', '--reason', 'answers to strangers'],
  );
  expect([revoked.code, revoked.err]).toEqual([EXIT.ok, '']);
  await expect.poll(() => call(booker, token, '/accounts/1')).toBe(401);
  await expect(guide.actFor(booker, first, ACCOUNTS, 'accounts')).rejects.toMatchObject({
    error: 'invalid_request',
  });
  const { out } = await onData('events', '--kind', 'authentication');
  expect(out).toContain('issuer-invalid-request');
});

test('every command of the guide is run here', () => {
  const shown = [...GUIDE.matchAll(/^```sh\ncountersign ([\s\S]*?)\n```/gm)].map(
    ([, text]) => text,
  );
  expect(shown.length).toBeGreaterThan(1);
  const isRun = (line = '') => ran.some((each) => each.startsWith(line.replaceAll("'", '')));
  expect(shown.filter((line) => !isRun(line))).toEqual([]);
});

/** The listener takes access tokens when it has authorities of partners; here nobody comes with their certificates. */
async function makeTrust(bank: string): Promise<void> {
  const authority = await createPrivateAuthority({
    commonName: 'Partners',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  await mkdir(join(bank, 'trust'), { recursive: true });
  await writeFile(join(bank, 'trust/partner.pem'), encodePem([authority.certificate]));
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function coordinates(key: KeyObject): string {
  const { x, y } = key.export({ format: 'jwk' });
  return `x: ${x}, y: ${y}`;
}

function signing(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}
