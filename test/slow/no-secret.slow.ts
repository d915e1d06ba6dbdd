import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { RunningBank } from '@countersign/cli';
import { AUDIENCES, openCaller, SERVICES } from '@countersign/example-bank';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeFolder } from './support/data-folder.ts';
import { environmentOf, prepareBank, startBank, tokenOf } from './support/prepared-bank.ts';

// While the bank runs, and serves, none of its services has anything secret: not in a file, not in what
// it was started with.

/** Who may hold keys: the authority (one of them is given to it), points and the node (their own), partners and the identity provider outside. */
const HOLDERS = [
  ...[/^authority\//, /^secrets\//, /^points\/[^/]+\/(?:keys|svid)\//, /^node\/svid\//],
  ...[/^partners\//, /^idp\//],
];
/** Code that Node compiled: ours, and no service's data. */
const PASSED_OVER = /^compile-cache\//;

const folder = makeFolder('no-secret');
const data = folder.path;
let bank: RunningBank;

beforeAll(async () => {
  await prepareBank(data, []);
  bank = await startBank(data);
  const env = environmentOf(bank);
  const ledgerly = openCaller(env, 'ledgerly');
  const token = await tokenOf(ledgerly, { scope: 'accounts', resource: AUDIENCES.accounts });
  // Through edge, sidecar and accounts to the core: whoever needs an identity has one.
  const answer = await ledgerly.call({ path: '/accounts-api/accounts/22289', token });
  expect(answer.status).toBe(200);
  await ledgerly.close();
}, 240_000);

afterAll(async () => {
  await bank?.stop();
  await folder.remove();
}, 60_000);

test('the walk finds what it looks for, where it may be', () => {
  const found = secretsIn(data);
  for (const holder of HOLDERS) {
    expect(found.filter(({ file }) => holder.test(file))).not.toEqual([]);
  }
});

test('no file of the running bank holds a secret but those of their holders', () => {
  const found = secretsIn(data).filter(({ file }) => !HOLDERS.some((holder) => holder.test(file)));
  expect(found).toEqual([]);
});

test('the services have data of their own, and it was looked at', () => {
  const looked = filesIn(data).map((file) => relative(data, file));
  expect(looked).toContain('services/core/journal.ndjson');
  expect(looked).toContain('logs/accounts-api.txt');
});

test('no service was given a secret at its start', () => {
  for (const { name } of SERVICES) {
    const pid = bank.children.get(`${name}-api`)?.pid;
    const given = ['environ', 'cmdline'].map((file) =>
      readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', '\n'),
    );
    expect(given.join('\n')).toContain('COUNTERSIGN_STOP_WITH_PARENT=1');
    expect(given.flatMap((text) => secretsOf(text))).toEqual([]);
    expect(given.join('\n')).not.toMatch(/COUNTERSIGN_(?:JOIN_TOKEN|SVID_FOLDER|TRUST)/);
  }
});

test('a service that is started again needs none either', async () => {
  bank.children.get('accounts-api')?.kill();
  await bank.children.get('accounts-api')?.exited;
  const child = await bank.restart('accounts-api');
  expect(child.ready).toMatchObject({ spiffeId: 'spiffe://bank.example/workload/accounts/api' });
});

/** How a secret at rest looks: a private key in its forms, a token, a shared secret. */
const SECRETS: readonly (readonly [string, RegExp])[] = [
  ['a private key (PEM)', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/],
  ['a private key (JWK)', /"d"\s*:\s*"[A-Za-z0-9_-]{40,}"/],
  // PKCS#8 of P-256 and of Ed25519, DER in base64.
  ['a private key (DER)', /MIGHAgEAMBMGByqGSM49|MC4CAQAwBQYDK2Vw/],
  ['a shared secret', /(?:client_secret|password|passphrase)["']?\s*[:=]\s*["']?[^\s"',}]+/i],
];

const JWT = /\b(eyJ[A-Za-z0-9_-]{10,})\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}/g;

function secretsOf(text: string): readonly string[] {
  const found = SECRETS.flatMap(([what, pattern]) => (pattern.test(text) ? [what] : []));
  return [...text.matchAll(JWT)].some(([, header = '']) => isToken(header))
    ? [...found, 'a token']
    : found;
}

/** What the authority signed for everybody, facts and policy, lets nobody in. */
function isToken(header: string): boolean {
  const { typ } = JSON.parse(Buffer.from(header, 'base64url').toString());
  return !/^countersign-[a-z]+\+jwt$/.test(typ ?? '');
}

function secretsIn(root: string): readonly { readonly file: string; readonly what: string }[] {
  return filesIn(root).flatMap((path) => {
    const file = relative(root, path);
    return secretsOf(readFileSync(path, 'latin1')).map((what) => ({ file, what }));
  });
}

/** Regular files: what is on disk; a socket is not. */
function filesIn(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => !PASSED_OVER.test(file))
    .map((file) => join(root, file))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}
