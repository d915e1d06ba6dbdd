import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { decodeJwt } from 'jose';
import { customFetch } from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Browser } from '../../identity/test/login/browser.ts';
import {
  createMaker,
  MODEL,
  SoftwareAuthenticator,
} from '../../identity/test/login/software-authenticator.ts';
import { openTeller, type Teller } from '../../identity/test/login/teller.ts';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const GUIDE = readFileSync(new URL('../../../docs/operate/login.md', import.meta.url), 'utf8');

/** A file that the guide shows. */
function block(file: string): string {
  const [, text] =
    new RegExp(`^\`\`\`\\w+ file=${file}\\n([\\s\\S]*?)^\`\`\``, 'm').exec(GUIDE) ?? [];
  if (text === undefined) throw new Error(`docs/operate/login.md shows no ${file}`);
  return text;
}

// An authority and a gateway that enforces, in this process, as the guide sets them up: from the passkey to the API.
const stop = new AbortController();
const api = createServer((request, answer) => answer.end(`${request.method} done`));
const alice = 'spiffe://bank.example/human/alice';
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let running: Promise<Ran>;
let agent: Agent;
let teller: Teller;
let issuerUrl: string;
let edgeUrl: string;
const ran: string[] = [];
let tellerKeys: KeyPairKeyObjectResult;
let keys: readonly SoftwareAuthenticator[];
const fetchIt = ((url: string | URL, init: object) =>
  undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;

beforeAll(async () => {
  folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  data = join(folder.path, 'data');
  const maker = await createMaker();
  tellerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
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
  await writeFile(join(bank, 'trust/security-keys.pem'), pemOf(maker.root));
  const [, login = ''] = block('countersign.yaml').split('authority:\n');
  await edit('countersign.yaml', [
    ['7401', `${control}`],
    [/7402/g, `${issuer}`],
    ['8443', `${edge}`],
    [/# clientAuthorities: .*/, 'clientAuthorities: [trust/security-keys.pem]'],
    [/ {2}svidTtl:/, `${login}  svidTtl:`],
    [/aaguids: .*/, `aaguids: [${MODEL}]`],
  ]);
  await edit('surfaces/accounts.yaml', [
    ['9001', `${(api.address() as { port: number }).port}`],
    ['mode: shadow', 'mode: enforce'],
  ]);
  const { x, y } = tellerKeys.publicKey.export({ format: 'jwk' });
  const people = block('identities/people.yaml')
    .replace('x: …, y: …', `x: ${x}, y: ${y}`)
    .replace('refresh: true }', 'refresh: true, ciba: true }');
  await writeFile(join(bank, 'identities/people.yaml'), people);
  await writeFile(join(bank, 'policies/staff.cedar'), block('policies/staff.cedar'));
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
  keys = await Promise.all(
    [1, 2, 3, 4].map(
      async () =>
        new SoftwareAuthenticator({ aaguid: MODEL, attestation: await maker.attestation() }),
    ),
  );
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
const browser = () => new Browser(issuerUrl, fetchIt);
const key = (at: number) => keys[at] as SoftwareAuthenticator;
const [first, second] = [() => key(0), () => key(1)];
const laptop = new SoftwareAuthenticator();
const call = async (token: string, path: string, method = 'GET') => {
  const response = await teller
    .call(new URL(`${edgeUrl}${path}`), token, method)
    // openid-client throws for challenges; the response is the cause.
    .catch((error: { response?: Response; cause?: unknown }) => error.response as Response);
  return { status: response.status, challenge: response.headers.get('www-authenticate') ?? '' };
};

test('a person registers by a code from the operator, signs in, and calls the API', async () => {
  const { code, out } = await onData('passkey', 'invite', 'human/alice', '--json');
  expect(code).toBe(EXIT.ok);
  const made = JSON.parse(out);
  expect(made).toMatchObject({ enrolUrl: `${issuerUrl}/enrol`, invite: { purpose: 'bootstrap' } });
  expect((await browser().enrol(made.code, first(), { hardware: true })).status).toBe(201);
  const pending = await teller.begin();
  const tokens = await teller.finish(await browser().signIn(pending.url, first()), pending);
  expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: alice, acr: 'phr' });
  expect(await call(tokens.access_token, '/accounts/1')).toMatchObject({ status: 200 });
  const listed = await onData('passkey', 'list');
  expect(listed.out).toMatch(/ {2}spiffe:\/\/bank\.example\/human\/alice {2}phrh {2}/);
});

test('an operation that asks for more says what; the person steps up in the same session, and it is done', async () => {
  const here = browser();
  const begun = await teller.begin();
  const before = await teller.finish(await here.signIn(begun.url, first()), begun);
  const refused = await call(before.access_token, '/accounts/1', 'DELETE');
  expect(refused.status).toBe(401);
  // RFC 9470 §3
  expect(refused.challenge).toBe(
    'DPoP error="insufficient_user_authentication", acr_values="phrh", max_age="60"',
  );
  const asked = { acr_values: 'phrh', max_age: '60' };
  // One key enrolled is not enough; the second one is added by the first.
  const visited = await here.go((await teller.begin(asked)).url);
  expect((await here.answer(visited, first())).body).toEqual({ error: 'hardware-needed' });
  const own = browser();
  await own.openAccount(first());
  expect((await own.addPasskey(second(), true)).status).toBe(200);
  const again = await teller.begin(asked);
  const after = await teller.finish(await here.signIn(again.url, second()), again);
  const [old, now] = [decodeJwt(before.access_token), decodeJwt(after.access_token)];
  expect([old['acr'], now['acr']]).toEqual(['phr', 'phrh']);
  expect(now['sid']).toBe(old['sid']);
  expect(await call(after.access_token, '/accounts/1', 'DELETE')).toMatchObject({ status: 200 });
  // What was given before is worth what it was.
  expect((await call(before.access_token, '/accounts/1', 'DELETE')).status).toBe(401);
});

test('a person approves elsewhere what the application asks for, and the gateway takes the token', async () => {
  const asked = await teller.ask();
  const own = browser();
  await own.openAccount(first());
  const { page } = await own.go('/account');
  const [, id = ''] = /data-approve data-id="([^"]+)"/.exec(page?.html ?? '') ?? [];
  const options = await own.post('/account/approval/options', { id });
  const response = first().get(options.body, { origin: issuerUrl, rpId: 'localhost' });
  expect((await own.post('/account/approval/approve', { id, response })).status).toBe(200);
  const tokens = await teller.poll(asked);
  expect((await call(tokens.access_token, '/accounts/1')).status).toBe(200);
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  expect((await onData('session', 'list')).out).toContain(`${sid}  active   ${alice}  `);
  const found = await onData('find', '--action', 'approval-granted', '--json');
  const [row] = JSON.parse(found.out).answer.rows;
  expect(row.event.by).toMatch(/human\/pn-/);
  // What they were asked is personal: sealed in the record.
  expect(JSON.stringify(row.event)).not.toContain('Example Ltd');
});

test('a session that is ended is refused at the gateway from then on', async () => {
  const pending = await teller.begin();
  const tokens = await teller.finish(await browser().signIn(pending.url, second()), pending);
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  expect((await call(tokens.access_token, '/accounts/1')).status).toBe(200);
  const listed = await onData('session', 'list');
  expect(listed.out).toContain(`${sid}  active   ${alice}  `);
  const ended = await onData('session', 'end', sid, '--reason', 'laptop stolen');
  expect([ended.code, ended.err]).toEqual([EXIT.ok, '']);
  await expect.poll(async () => (await call(tokens.access_token, '/accounts/1')).status).toBe(401);
  expect((await onData('session', 'list')).out).toContain(`${sid}  revoked  ${alice}`);
});

test('a session whose scopes are taken is refused at the gateway what needs them, until it is widened', async () => {
  const pending = await teller.begin();
  const tokens = await teller.finish(await browser().signIn(pending.url, second()), pending);
  const sid = String(decodeJwt(tokens.access_token)['sid']);
  const answers = async () => (await call(tokens.access_token, '/accounts/1')).status;
  expect(await answers()).toBe(200);
  const took = await onData('session', 'narrow', sid, '--scopes', '', '--reason', 'odd hour');
  expect([took.code, took.out]).toEqual([EXIT.ok, `narrowed session ${sid} to no scopes\n`]);
  const less = ['session', 'narrow', sid, '--read-only', '--reason'] as const;
  expect((await onData(...less, 'odd hour, being looked at')).out).toContain(
    'no scopes, what changes nothing',
  );
  await expect.poll(answers).toBe(403);
  expect((await onData('session', 'widen', sid)).code).toBe(EXIT.ok);
  await expect.poll(answers).toBe(200);
});

test('persons stand in the record by pseudonym, and are found by their names', async () => {
  const plain = await onData('events', '--kind', 'authentication');
  expect(plain.out).toMatch(/ accepted {2,}human\/pn-\S+ {2,}issuer {2,}passkey\n/);
  expect(plain.out).toContain('tier-insufficient');
  expect(plain.out).not.toContain('human/alice');
  const found = await onData(
    'find',
    '--subject',
    'human/alice',
    '--kind',
    'authentication',
    '--json',
  );
  expect(JSON.parse(found.out).answer.rows.length).toBeGreaterThan(0);
});

test('what the repository says of it is in force without a restart', async () => {
  const bank = join(folder.path, 'bank');
  const path = join(bank, 'countersign.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('name: Example Bank', 'name: Another Bank'));
  expect(JSON.parse((await onData('apply', '--json')).out)).toMatchObject({ restart: [] });
  expect((await browser().go('/enrol')).page?.html).toContain('Another Bank');
  await writeFile(path, text.replace(/ {2}login:\n(?: {4}.*\n)+/, ''));
  const without = await onData('apply', '--json');
  expect(without.code).not.toBe(EXIT.ok);
  // Nobody is left signed in to what the repository does not describe: it says what stands in the way.
  expect(without.out + without.err).toContain('authority.login');
});

test('a person who lost the key comes back by a code that another one approved, and an operator takes keys away', async () => {
  const made = JSON.parse((await onData('passkey', 'invite', 'human/bob', '--json')).out);
  const bobs = new SoftwareAuthenticator();
  const approve = async (): Promise<number> => {
    const approver = browser();
    await approver.openAccount(second());
    const [waiting] = JSON.parse((await onData('passkey', 'list', '--json')).out).recoveries;
    return (await approver.post('/account/recovery/approve', { id: waiting.id })).status;
  };
  // He may approve himself, once he is in: so another approver lets him in.
  expect((await browser().enrol(made.code, bobs)).status).toBe(401);
  expect(await approve()).toBe(200);
  expect((await browser().enrol(made.code, bobs)).status).toBe(201);
  const listed = JSON.parse((await onData('passkey', 'list', '--json')).out);
  const [{ credentialId }] = listed.passkeys.filter((each: { subject: string }) =>
    each.subject.endsWith('/bob'),
  );
  // A credential's id may begin with a hyphen.
  ran.push('credential withdraw -- …');
  const withdrawn = await countersign(['credential', 'withdraw', '-d', data, '--', credentialId]);
  expect(withdrawn.code).toBe(EXIT.ok);
  expect((await browser().openAccount(bobs)).status).toBe(401);
  const again = await onData('passkey', 'invite', 'human/bob');
  expect(again.out).toMatch(
    /^recovery \S+: good when an approver has approved it at https:.*\/account$/m,
  );
  const [code = ''] = again.out.split('\n');
  const enrol = () => browser().enrol(code, key(2), { hardware: true });
  expect((await enrol()).status).toBe(401);
  expect(await approve()).toBe(200);
  expect((await enrol()).status).toBe(201);
  const own = browser();
  expect((await own.openAccount(key(2))).status).toBe(200);
  expect((await own.addPasskey(key(3), true)).status).toBe(200);
  expect((await own.addPasskey(laptop)).status).toBe(200);
});

test('the application of the guide signs a person in, and steps up when the API says so', async () => {
  const file = join(folder.path, 'teller.mjs');
  await writeFile(file, block('teller.mjs'));
  await symlink(
    join(import.meta.dirname, '../../../node_modules'),
    join(folder.path, 'node_modules'),
  );
  const guide = await import(pathToFileURL(file).href);
  const signer = await crypto.subtle.importKey(
    'pkcs8',
    tellerKeys.privateKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  const app = await guide.open(issuerUrl, signer, { [customFetch]: fetchIt });
  const here = browser();
  const signIn = async (authenticator: SoftwareAuthenticator, more = {}) => {
    const { url, checks } = await guide.begin(app, more);
    return (await guide.finish(app, await here.signIn(url, authenticator), checks)).access_token;
  };
  const account = new URL(`${edgeUrl}/accounts/1`);
  const before = await signIn(laptop);
  expect((await guide.call(app, before, account)).response.status).toBe(200);
  const { stepUp } = await guide.call(app, before, account, 'DELETE');
  expect(stepUp).toEqual({ acr_values: 'phrh', max_age: '60' });
  const after = await signIn(key(3), stepUp);
  expect((await guide.call(app, after, account, 'DELETE')).response.status).toBe(200);
});

test('every command of the guide is run here', () => {
  const shown = [...GUIDE.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, text = '']) =>
    text
      .trim()
      .split('\n')
      .map((line) => line.replace(/^countersign /, '')),
  );
  expect(shown.length).toBeGreaterThan(5);
  const isRun = (line: string) => {
    const pattern = line
      .replaceAll("'", '')
      .replace(/ -C \S+/, '')
      .replace(/<[a-z]+>/g, '\\S+');
    return ran.some((each) => new RegExp(`^${pattern}( |$)`).test(each));
  };
  expect(shown.filter((line) => !isRun(line))).toEqual([]);
});

function pemOf(der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
