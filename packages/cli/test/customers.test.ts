import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { connectWorkload, type Workload } from '@countersign/sdk';
import { freePort } from '@countersign/test-support/free-port';
import { decodeJwt } from 'jose';
import { Agent, request, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Browser } from '../../identity/test/login/browser.ts';
import { SoftwareAuthenticator } from '../../identity/test/login/software-authenticator.ts';
import { openTeller, type Teller } from '../../identity/test/login/teller.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// An authority and a gateway that enforces, in this process, as docs/operate/customers.md sets them up.
const GUIDE = readFileSync(new URL('../../../docs/operate/customers.md', import.meta.url), 'utf8');
const AUTHORITY = 'spiffe://bank.example/workload/countersign/authority';
const stop = new AbortController();
const api = createServer((asked, answer) => {
  if (!asked.url?.endsWith('/live')) return answer.end('an account');
  answer.writeHead(200, { 'content-type': 'text/event-stream' });
  return answer.write('data: 1\n\n');
});
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let running: Promise<Ran>;
let agent: Agent;
let teller: Teller;
let onboarding: Workload;
let urls: { readonly issuer: string; readonly control: string; readonly edge: string };
const laptop = new SoftwareAuthenticator();

function block(file: string): string {
  const [, text] =
    new RegExp(`^\`\`\`\\w+ file=${file}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(GUIDE) ?? [];
  if (text === undefined) throw new Error(`docs/operate/customers.md shows no ${file}`);
  return text;
}

const fetchIt = ((url: string | URL, init: object) =>
  undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;
const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
const account = (number: string) => ({ __entity: { type: 'Accounts::Account', id: number } });

beforeAll(async () => {
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  const tellerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await countersign(['init', bank]);
  const edit = async (file: string, change: (text: string) => string) => {
    const path = join(bank, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };
  const [, more = ''] = block('countersign.yaml').split('authority:\n');
  await edit('countersign.yaml', (text) =>
    text
      .replace('7401', `${control}`)
      .replaceAll('7402', `${issuer}`)
      .replace('8443', `${edge}`)
      .replace(/# clientAuthorities: .*/, 'accessTokens: true')
      .replace(/ {2}svidTtl:/, `${more}  svidTtl:`),
  );
  await edit('surfaces/accounts.yaml', (text) =>
    text
      .replace('9001', `${(api.address() as { port: number }).port}`)
      .replace('mode: shadow', 'mode: enforce'),
  );
  await edit('policies/schema.cedarschema', (text) => text + block('policies/schema.cedarschema'));
  await writeFile(join(bank, 'policies/customers.cedar'), block('policies/customers.cedar'));
  const { x, y } = tellerKeys.publicKey.export({ format: 'jwk' });
  await writeFile(
    join(bank, 'identities/customers.yaml'),
    block('identities/customers.yaml').replace('x: …, y: …', `x: ${x}, y: ${y}`),
  );
  await writeFile(
    join(bank, 'policies/tests/customers.yaml'),
    block('policies/tests/customers.yaml'),
  );
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
  urls = {
    issuer: `https://localhost:${issuer}`,
    control: `https://127.0.0.1:${control}`,
    edge: `https://localhost:${edge}/accounts-api`,
  };
  teller = await openTeller({ issuerUrl: urls.issuer, key: tellerKeys.privateKey, fetch: fetchIt });
  onboarding = await workload('workload/core/onboarding');
}, 60_000);
afterAll(async () => {
  await onboarding?.close();
  stop.abort();
  await running;
  await agent?.destroy();
  api.closeAllConnections();
  api.close();
  await folder[Symbol.asyncDispose]();
});

async function workload(id: string): Promise<Workload> {
  const { out } = await onData('join-token', id);
  const trust = JSON.parse(await readFile(join(data, 'trust.json'), 'utf8'));
  return connectWorkload({
    ...{ authorityUrl: urls.control, authoritySpiffeId: AUTHORITY, trustDomain: 'bank.example' },
    ...{ x509Authorities: trust.x509Authorities, joinToken: out.trim() },
  });
}

async function ask(as: Workload, method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) {
  const answer = await request(`${urls.control}${path}`, {
    ...{ method, dispatcher: as.dispatcherFor(urls.control, AUTHORITY) },
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  });
  const text = await answer.body.text();
  return { status: answer.statusCode, body: text === '' ? undefined : JSON.parse(text) };
}

const dora = (more: object = {}) => [
  { id: '7f3a91', attributes: { accounts: [account('22289'), account('live')] }, ...more },
];

async function token(): Promise<string> {
  const pending = await teller.begin();
  const callback = await new Browser(urls.issuer, fetchIt).signIn(pending.url, laptop);
  return (await teller.finish(callback, pending)).access_token;
}

/** Open until its end, which `text` waits for. */
async function call(accessToken: string, path: string): Promise<Response> {
  return teller
    .call(new URL(`${urls.edge}${path}`), accessToken, 'GET')
    .catch((error: { response?: Response }) => error.response as Response);
}

test('the bank writes a customer with its SVID; the customer signs in, and reaches its own account and no other', {
  timeout: 30_000,
}, async () => {
  expect(await ask(onboarding, 'POST', '/v1/customers', dora())).toMatchObject({
    ...{ status: 200, body: { created: 1, changed: 0, disabled: [] } },
  });
  const made = await ask(onboarding, 'POST', '/v1/customers/7f3a91/passkey-invites', {});
  expect(made).toMatchObject({ status: 201, body: { enrolUrl: `${urls.issuer}/enrol` } });
  expect((await new Browser(urls.issuer, fetchIt).enrol(made.body.code, laptop)).status).toBe(201);
  const accessToken = await token();
  expect(decodeJwt(accessToken).sub).toBe('spiffe://bank.example/customer/7f3a91');
  const own = await call(accessToken, '/accounts/22289');
  expect([own.status, await own.text()]).toEqual([200, 'an account']);
  expect((await call(accessToken, '/accounts/31820')).status).toBe(403);
});

test('a customer who is disabled is out at once, an open stream included, and in again after a new sign-in', {
  timeout: 30_000,
}, async () => {
  const accessToken = await token();
  const stream = await call(accessToken, '/accounts/live');
  expect(stream.status).toBe(200);
  const reader = stream.body?.getReader();
  await reader?.read();
  const begun = performance.now();
  expect((await onData('customer', 'disable', '7f3a91')).out).toBe('disabled 7f3a91\n');
  const ended = await reader?.read().then(
    ({ done }) => done,
    () => true,
  );
  console.log(`the stream was dead ${Math.round(performance.now() - begun)} ms after the command`);
  expect(ended).toBe(true);
  expect((await call(accessToken, '/accounts/22289')).status).toBe(401);
  expect((await onData('customer', 'enable', '7f3a91')).out).toBe('enabled 7f3a91\n');
  expect((await onData('customer', 'enable', '7f3a91')).out).toBe('7f3a91 was enabled already\n');
  const status = async (accessTokenNow: string) =>
    (await call(accessTokenNow, '/accounts/22289')).status;
  const next = await token();
  await expect.poll(() => status(next)).toBe(200);
  expect(await status(accessToken)).toBe(401);
});

test('a customer of the longest id is known, gets a code, and is removed', async () => {
  const long = 'c'.repeat(128);
  expect((await ask(onboarding, 'POST', '/v1/customers', [{ id: long }])).status).toBe(200);
  expect((await ask(onboarding, 'GET', `/v1/customers/${long}`)).status).toBe(200);
  const invite = `/v1/customers/${long}/passkey-invites`;
  expect((await ask(onboarding, 'POST', invite, {})).status).toBe(201);
  expect((await onData('customer', 'show', long)).code).toBe(EXIT.ok);
  expect((await ask(onboarding, 'DELETE', `/v1/customers/${long}`)).status).toBe(204);
});

test('nobody else writes customers: no other workload, and nobody without an SVID', async () => {
  const other = await workload('workload/payments/api');
  for (const [method, path] of [
    ['GET', '/v1/customers'],
    ['GET', '/v1/customers/7f3a91'],
    ['POST', '/v1/customers'],
    ['DELETE', '/v1/customers/7f3a91'],
    ['POST', '/v1/customers/7f3a91/passkey-invites'],
  ] as const) {
    const answer = await ask(other, method, path, method === 'POST' ? dora() : undefined);
    expect([answer.status, answer.body.detail]).toEqual([
      403,
      'this subject does not keep customers',
    ]);
  }
  await other.close();
  const { statusCode } = await request(`${urls.control}/v1/customers`, { dispatcher: agent });
  expect(statusCode).toBe(403);
  const { out } = await onData('events', '--json', '--kind', 'authentication');
  expect(out).toContain('"reason":"customer-source"');
});

test('a file is imported by the thousand; a line that cannot be taken is named, and those before it are written', async () => {
  const file = join(folder.path, 'customers.ndjson');
  const lines = Array.from({ length: 2500 }, (_, n) => JSON.stringify({ id: `c${n}` }));
  await writeFile(file, `${lines.join('\n')}\n`);
  const first = await onData('customer', 'import', file, '--json');
  expect([first.code, JSON.parse(first.out)]).toEqual([
    0,
    { created: 2500, changed: 0, unchanged: 0, disabled: 0, enabled: 0 },
  ]);
  expect(JSON.parse((await onData('customer', 'import', file, '--json')).out).unchanged).toBe(2500);
  const bad: [string, string][] = [
    ['{"id": "../x"}', 'id: found "../x", expected letters, digits, . _ -, at most 128'],
    [JSON.stringify({ id: 'x', attributes: { note: 'x'.repeat(2100) } }), 'more than 2048 bytes'],
    ['{"id": "x", "vip": true}', 'vip'],
    ['{"id": "ok"}', "found 'ok' twice"],
    ['{"id": "x", "parents": ["Group"]}', 'parents'],
    [
      '{"id": "x", "attributes": {"acounts": []}}',
      "found attribute 'acounts', expected one that the schema declares",
    ],
    ['{"id": "x", "attributes": {"accounts": ["22289"]}}', 'attributes.accounts'],
    ['{"id": "x", "parents": [{"type": "Human", "id": "y"}]}', 'found Customer in Human'],
    ['{"id": "x", "parents": [{"type": "Goup", "id": "y"}]}', "found entity type 'Goup'"],
    ['not json', 'found no JSON'],
  ];
  for (const [text, told] of bad) {
    await writeFile(file, `{"id": "ok"}\n\n${text}\n`);
    const { code, out } = await onData('customer', 'import', file);
    expect([code, out]).toEqual([EXIT.negative, expect.stringContaining(`${file}:3: `)]);
    expect(out).toContain(told);
  }
  // A line that is none ends it there: those before it are written.
  expect((await onData('customer', 'show', 'ok')).code).toBe(EXIT.ok);
  const listed = await onData('customer', 'list', '--after', 'c2498', '--limit', '2');
  expect(listed.out).toMatch(/^c2499 +enabled .*\nc25 +enabled /);
});

const CUSTOMER_TESTS = 'policies/tests/customers.yaml';
/** `check` of a bank whose test of customers says something else. */
async function checkedWith(from: string, to: string): Promise<string> {
  const bank = join(folder.path, 'bank');
  const text = block(CUSTOMER_TESTS);
  expect(text).toContain(from);
  await writeFile(
    join(bank, CUSTOMER_TESTS),
    text.replace(from, () => to),
  );
  const { code, out, err } = await countersign(['check', '-C', bank]);
  await writeFile(join(bank, CUSTOMER_TESTS), text);
  return `${code} ${out}${err}`;
}

test.each([
  // The policy is asked with what the token vouches: without the account nothing permits.
  ["id: '22289' } }] } }", "id: '31820' } }] } }", 'found deny (policy-none-permits'],
  [
    'attributes: { accounts',
    'attributes: { acounts',
    "found attribute 'acounts', expected one that",
  ],
  ["'Accounts::Account'", "'Accounts::Acount'", "found entity type 'Accounts::Acount'"],
  ['customer: { ', 'customer: { parents: [{ type: Human, id: y }], ', 'found Customer in Human'],
  [
    'customer: { ',
    `customer: { parents: [{ type: Group, id: '${'x'.repeat(1000)}' }, { type: Group, id: '${'y'.repeat(1000)}' }], `,
    'at most 2048 bytes',
  ],
  ['subject: customer/7f3a91', 'subject: partner/example', "found 'customer' for a partner"],
])(
  'a policy test about a customer with %s instead of %s is refused: %s',
  async (from, to, told) => {
    const refused = await checkedWith(from, to);
    expect(refused).toContain(`policies/tests/customers.yaml:`);
    expect(refused).toContain(told);
    expect(refused.startsWith(`${EXIT.negative} `)).toBe(true);
  },
);

test('a test about a customer without what its token vouches is about somebody whom nobody knows', async () => {
  const line = /^ {4}customer: .*\n/m.exec(block(CUSTOMER_TESTS))?.[0] ?? '';
  expect(await checkedWith(line, '')).toContain('found deny (peer-unregistered');
});

test('of a customer who stands in identities/ a test assumes nothing else: the file counts, as at points', async () => {
  const file = join(folder.path, 'bank/identities/one-customer.yaml');
  await writeFile(file, '- { id: customer/7f3a91, owner: core@bank.example }\n');
  const told = await checkedWith('x', 'x');
  await rm(file);
  expect(told).toContain("found 'customer' for a customer who stands in identities/");
});

test('one question about a customer is decided offline, with what its token would vouch', async () => {
  const bank = join(folder.path, 'bank');
  const file = join(folder.path, '7f3a91.json');
  const decide = (id: string, ...more: readonly string[]) =>
    countersign([
      ...['decide', '-C', bank, '--subject', 'customer/7f3a91', '--surface', 'accounts'],
      ...['--action', 'GetAccount', '--param', `AccountId=${id}`, '--scope', 'accounts', ...more],
    ]);
  await writeFile(file, JSON.stringify({ attributes: { accounts: [account('22289')] } }));
  const own = await decide('22289', '--customer', file);
  expect([own.code, own.out]).toEqual([EXIT.ok, expect.stringMatching(/^ {2}vouched {3}\{"attr/m)]);
  expect(own.out).toContain('customers-read-their-accounts');
  expect((await decide('31820', '--customer', file)).out).toMatch(/^DENY {2}policy-none-permits/);
  const unknown = await decide('22289');
  expect([unknown.code, unknown.out]).toEqual([
    EXIT.negative,
    expect.stringContaining('--customer says what its token vouches'),
  ]);
  for (const [text, told] of [
    ['no json', 'found no JSON in --customer'],
    ['{"attributes": {"acounts": []}}', "found attribute 'acounts' at attributes.acounts"],
    ['{"attributs": {}}', "'attributs'"],
    ['{"attributes": {"accounts": ["22289"]}}', 'at attributes.accounts.0'],
  ] as const) {
    await writeFile(file, text);
    const { code, err } = await decide('22289', '--customer', file);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining(told)]);
  }
});

test('what the bank forgets is nobody', async () => {
  expect((await onData('customer', 'remove', 'customer/c0')).out).toBe('removed c0\n');
  const shown = await onData('customer', 'show', 'c0');
  expect([shown.code, shown.err]).toEqual([EXIT.failed, expect.stringContaining("'c0'")]);
  await onData('revoke', 'subject', 'customer/7f3a91', '--reason', 'fraud');
  const { out } = await onData('customer', 'show', '7f3a91');
  expect(out).toMatch(/^7f3a91 +revoked .*\nattributes {2}\{"accounts":/);
});
