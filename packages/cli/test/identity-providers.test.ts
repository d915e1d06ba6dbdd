import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { decodeJwt } from 'jose';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HostileIdp, startHostileIdp } from '../../identity/test/idp/hostile-idp.ts';
import { Browser } from '../../identity/test/login/browser.ts';
import { type LoginBank, startLoginBank } from '../../identity/test/login/login-bank.ts';
import { openTeller, type Teller } from '../../identity/test/login/teller.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const GUIDE = readFileSync(
  new URL('../../../docs/operate/identity-providers.md', import.meta.url),
  'utf8',
);

/** A file that the guide shows. */
function block(file: string): string {
  const [, text] =
    new RegExp(`^\`\`\`\\w+ file=${file}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(GUIDE) ?? [];
  if (text === undefined) throw new Error(`the guide shows no ${file}`);
  return text;
}

// An authority and a gateway that enforces, in this process, as the guide sets them up: from the provider to the API.
const stop = new AbortController();
const api = createServer((request, answer) => {
  answer.write('begun');
  // A stream that does not end by itself.
  if (request.url?.endsWith('/7')) return;
  answer.end();
});
const alice = 'spiffe://bank.example/human/alice';
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let running: Promise<Ran>;
let agent: Agent;
let teller: Teller;
let issuerUrl: string;
let edgeUrl: string;
/** Whoever runs the provider: its certificate is of an authority of its own. */
let elsewhere: LoginBank;
let idp: HostileIdp;
const ran: string[] = [];
const fetchIt = ((url: string | URL, init: object) =>
  undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;

beforeAll(async () => {
  elsewhere = await startLoginBank();
  idp = await startHostileIdp(elsewhere);
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  const [tellerKeys, client] = [1, 2].map(() =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ) as [KeyPairKeyObjectResult, KeyPairKeyObjectResult];
  const [control, issuer, edge] = await Promise.all([freePort(), freePort(), freePort()]);
  await once(api.listen(0, '127.0.0.1'), 'listening');
  await countersign(['init', bank]);
  const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
    const path = join(bank, file);
    let text = await readFile(path, 'utf8');
    for (const [from, to] of edits) {
      if (text.search(from) < 0) throw new Error(`found no ${from} in ${file}`);
      text = text.replace(from, to);
    }
    await writeFile(path, text);
  };
  await mkdir(join(bank, 'trust'), { recursive: true });
  copyFileSync(idp.server.caFile, join(bank, 'trust/idp-ca.pem'));
  writeFileSync(
    join(folder.path, 'staff.key'),
    client.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    { mode: 0o600 },
  );
  const [, login = ''] = block('countersign.yaml').split('authority:\n');
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    [/# clientAuthorities: .*/, 'clientAuthorities: [trust/idp-ca.pem]'],
    [/ {2}svidTtl:/, `${login}  svidTtl:`],
    ['https://idp.bank.example/realms/staff', idp.server.url],
    ['/run/secrets/staff.key', join(folder.path, 'staff.key')],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  const { x, y } = tellerKeys.publicKey.export({ format: 'jwk' });
  const desk = block('identities/desk.yaml').replace('x: …, y: …', `x: ${x}, y: ${y}`);
  await writeFile(join(bank, 'identities/desk.yaml'), desk);
  await writeFile(
    join(bank, 'policies/staff.cedar'),
    `@id("staff-read")\npermit (principal is Human, action, resource) when { context.scopes.contains("accounts") };\n
@id("closing-takes-more")\n@challenge("acr=phr")\nforbid (principal is Human, action == Accounts::Action::"CloseAccount", resource)\nunless { context has acr && ["phr", "phrh"].contains(context.acr) };\n`,
  );
  ran.push('check');
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
  teller = await openTeller({ issuerUrl, key: tellerKeys.privateKey, fetch: fetchIt });
}, 60_000);
afterAll(async () => {
  stop.abort();
  await running;
  await agent?.destroy();
  api.closeAllConnections();
  api.close();
  await idp?.close();
  await elsewhere?.close();
  await folder[Symbol.asyncDispose]();
});

const onData = (...words: readonly string[]) => {
  ran.push(words.join(' '));
  return countersign([...words, '-d', data]);
};

async function signIn(claims: Record<string, unknown> = {}): Promise<string> {
  const browser = new Browser(issuerUrl, fetchIt);
  const pending = await teller.begin();
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=staff`);
  const { searchParams } = url;
  idp.idToken = await idp.token({ nonce: searchParams.get('nonce'), ...claims });
  const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
  const visited = await browser.go(`/idp/staff/callback?${query}`);
  if (visited.page) throw new Error(`not signed in: ${visited.page.html}`);
  return (await teller.finish(visited.url, pending)).access_token;
}

const call = (token: string, path: string, method = 'GET') =>
  teller
    .call(new URL(`${edgeUrl}${path}`), token, method)
    .catch((error: { response?: Response }) => error.response as Response);

test('that the provider answers is in status before anybody signed in; a renewed key is taken without a restart', async () => {
  const standing = async () => {
    const { out } = await onData('status', '--json');
    return JSON.parse(out).identityProviders[0];
  };
  await expect.poll(standing).toMatchObject({ name: 'staff', isFailing: false, files: [] });
  const { lastSuccessMs } = await standing();
  // What is applied again and is the same goes on as it was.
  expect((await onData('apply')).code).toBe(0);
  expect(await standing()).toMatchObject({ lastSuccessMs, isFailing: false });
  expect((await onData('status')).out).toMatch(/^ {2}staff +answers, last success 20\S+$/m);
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(folder.path, 'staff.key'), pem, { mode: 0o600 });
  // Its metadata are good for ten minutes: it is asked for the key's sake.
  await expect
    .poll(async () => (await standing()).lastSuccessMs, { timeout: 15_000 })
    .toBeGreaterThan(lastSuccessMs);
});

test('a person comes by the provider, calls the API, and is asked for more where that is not enough', async () => {
  const token = await signIn({ sid: 's1' });
  expect(decodeJwt(token)).toMatchObject({ sub: alice, acr: 'idp' });
  expect((await onData('session', 'list')).out).toMatch(/ idp {2}application {2}\S+ {2}by staff\n/);
  expect((await call(token, '/accounts/1')).status).toBe(200);
  const refused = await call(token, '/accounts/1', 'DELETE');
  expect(refused.status).toBe(401);
  expect(refused.headers.get('www-authenticate')).toContain('acr_values="phr"');
});

test('a logout there ends the session at the gateway: calls are refused, an open stream is cut', async () => {
  const token = await signIn({ sid: 's2' });
  const stream = await call(token, '/accounts/7');
  expect(stream.status).toBe(200);
  const reader = stream.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('begun');
  const rest = reader?.read().then(
    ({ done }) => `ended ${done}`,
    () => 'cut',
  );
  const answer = await fetchIt(`${issuerUrl}/idp/staff/backchannel-logout`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `logout_token=${await idp.logoutToken({ sid: 's2' })}`,
  });
  expect(answer.status).toBe(200);
  expect(await rest).toBe('cut');
  await expect.poll(async () => (await call(token, '/accounts/1')).status).toBe(401);
});

test('the operator sees whose account is whose, and takes it away with its sessions', async () => {
  const token = await signIn();
  const listed = await onData('login', 'links', 'human/alice');
  expect(listed.out).toMatch(/^spiffe:\/\/bank\.example\/human\/alice {2}staff {2}a-1 {2}20/);
  expect((await onData('login', 'links', 'human/bob')).out).toBe('no accounts are linked\n');
  const none = await onData('login', 'unlink', 'human/alice');
  expect([none.code, none.err]).toEqual([EXIT.usage, expect.stringContaining('--reason')]);
  const reason = 'new account after the merger, CHG-77';
  const other = await onData(
    'login',
    'unlink',
    'human/alice',
    '--provider',
    'x',
    '--reason',
    reason,
  );
  expect(other.err).toContain('found no account linked');
  const done = await onData('login', 'unlink', 'human/alice', '--reason', reason);
  expect([done.code, done.out]).toEqual([
    EXIT.ok,
    expect.stringMatching(/^unlinked staff a-1\nended \d sessions\n$/),
  ]);
  await expect.poll(async () => (await call(token, '/accounts/1')).status).toBe(401);
  expect(decodeJwt(await signIn({ sub: 'a-2' })).sub).toBe(alice);
});

test('a provider that is not believed any more is taken out, and what stands on it ends', async () => {
  const token = await signIn({ sub: 'a-2' });
  const path = join(folder.path, 'bank', 'countersign.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(/ {4}identityProviders:\n(?: {6,}.*\n)+/, ''));
  const desk = join(folder.path, 'bank', 'identities/desk.yaml');
  await writeFile(desk, (await readFile(desk, 'utf8')).replace('acr: idp, ', ''));
  expect((await onData('apply')).code).toBe(EXIT.ok);
  const page = await new Browser(issuerUrl, fetchIt).go((await teller.begin()).url);
  expect(page.page?.html).not.toContain('Bank Account');
  // Those that are signed in are so until they are ended.
  expect((await call(token, '/accounts/1')).status).toBe(200);
  const ended = await onData('login', 'end', 'staff', '--reason', 'taken over, INC-9');
  expect([ended.code, ended.out]).toEqual([EXIT.ok, expect.stringMatching(/^ended [1-9]\d* sess/)]);
  await expect.poll(async () => (await call(token, '/accounts/1')).status).toBe(401);
  const misspelt = await onData('login', 'end', 'staf', '--reason', 'taken over, INC-9');
  expect([misspelt.code, misspelt.err]).toEqual([
    EXIT.failed,
    expect.stringContaining("found no identity provider 'staf'"),
  ]);
});

test('the record has it, with people by pseudonym', async () => {
  const { out } = await onData('events', '--kind', 'administration');
  for (const action of ['idp-linked', 'idp-logout', 'idp-unlinked', 'idp-sessions-ended'])
    expect(out).toContain(action);
  expect(out).not.toContain('human/alice');
  const logins = await onData('events', '--kind', 'authentication');
  expect(logins.out).toMatch(/ accepted {2,}human\/pn-\S+ {2,}issuer {2,}idp\n/);
});

test('every command of the guide is run here', () => {
  const shown = [...GUIDE.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, text = '']) =>
    text
      .trim()
      .split('\n')
      .map((line) =>
        line
          .replace(/^countersign /, '')
          .replaceAll("'", '')
          .replace(/ -C \S+/, ''),
      ),
  );
  expect(shown.length).toBeGreaterThan(2);
  expect(shown.filter((line) => !ran.some((each) => each.startsWith(line)))).toEqual([]);
});
