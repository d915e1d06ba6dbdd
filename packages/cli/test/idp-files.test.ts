import { generateKeyPairSync } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

// An authority whose identity provider's key was never put on its host; the provider itself does not run, either.
const stop = new AbortController();
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;
let data: string;
let keyFile: string;
let running: Promise<Ran>;
const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
const keyPem = (curve: string) =>
  generateKeyPairSync('ec', { namedCurve: curve }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });

beforeAll(async () => {
  folder = await temporaryFolder();
  [bank, data, keyFile] = [
    join(folder.path, 'bank'),
    join(folder.path, 'data'),
    join(folder.path, 'staff.key'),
  ];
  await countersign(['init', bank]);
  const [control, issuer, provider] = await Promise.all([freePort(), freePort(), freePort()]);
  const config = join(bank, 'countersign.yaml');
  const login = `  login:
    name: Example Bank
    identityProviders:
      - name: staff
        displayName: Bank Account
        issuer: https://localhost:${provider}
        clientId: countersign
        keyFile: ${keyFile}
        person: { claim: preferred_username, matches: id }
`;
  const written = (await readFile(config, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace(/^authority:\n/m, `authority:\n${login}`);
  await writeFile(config, written);
  expect((await countersign(['check', '-C', bank])).code).toBe(EXIT.ok);
  await new Promise<void>((resolve, reject) => {
    running = countersign(['authority', '-C', bank, '-d', data], {
      stop: stop.signal,
      onOut: (out) => out.includes('"ready":true') && resolve(),
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
}, 30_000);
afterAll(async () => {
  stop.abort();
  await running;
  await folder[Symbol.asyncDispose]();
});

const standing = async () =>
  JSON.parse((await onData('status', '--json')).out).identityProviders[0];

test('a start without the key of a provider serves on, and says so as an alarm, in status and to monitoring', async () => {
  await expect
    .poll(async () => (await onData('events', '--kind', 'alarm')).out, { timeout: 10_000 })
    .toContain(`keyFile of 'staff', ${keyFile}: found no file`);
  const status = await onData('status');
  expect(status.code).toBe(EXIT.negative);
  expect(status.out).toMatch(/^ {2}staff +FAILING, last success never; keyFile of 'staff', \S+: /m);
  const metrics = await new Promise<string>((resolve, reject) => {
    const socketPath = join(data, 'authority', 'admin.sock');
    get({ socketPath, path: '/v1/metrics' }, (answer) => {
      text(answer).then(resolve, reject);
    }).once('error', reject);
  });
  expect(metrics).toContain('countersign_idp_failing{provider="staff"} 1');
});

test('apply refuses it with the file, and changes nothing', async () => {
  const before = await onData('status', '--json');
  const applied = await onData('apply');
  expect(applied.code).toBe(EXIT.negative);
  expect(applied.out).toContain(`no file at keyFile of identity provider 'staff': ${keyFile}`);
  expect(applied.out).toContain('nothing was published');
  await writeFile(keyFile, keyPem('P-384'));
  expect((await onData('apply')).out).toContain("found a client key of type 'ec', expected P-256");
  await writeFile(keyFile, 'no key at all');
  expect((await onData('apply')).out).toContain('found no private key at keyFile');
  const after = await onData('status', '--json');
  expect(JSON.parse(after.out).bundleSequence).toBe(JSON.parse(before.out).bundleSequence);
});

test('a file that is put there is taken without a restart; that nobody answers then holds up no apply', async () => {
  await writeFile(keyFile, keyPem('P-256'));
  await expect.poll(standing, { timeout: 15_000 }).toMatchObject({
    ...{ name: 'staff', files: [], isFailing: true },
    lastFailure: { fault: expect.stringContaining('ECONNREFUSED') },
  });
  expect((await onData('apply')).code).toBe(EXIT.ok);
  const status = await onData('status');
  expect(status.code).toBe(EXIT.negative);
  await expect
    .poll(async () => (await onData('status')).out, { timeout: 15_000 })
    .toMatch(/^ {2}staff +FAILING, last success never, last failure 20\S+: .*ECONNREFUSED/m);
  await rm(keyFile);
  await expect.poll(standing, { timeout: 15_000 }).toMatchObject({
    files: [{ setting: 'keyFile', found: 'no file' }],
  });
});
