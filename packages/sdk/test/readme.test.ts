import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { type Workload, withTransaction } from '@countersign/sdk';
import { encodePem, renewServerTls, serverTlsOptions } from '@countersign/spiffe';
import { expect, test } from 'vitest';
import { issueIdentity, TestAuthority, WORKLOAD_ID } from './test-authority.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const errors = readFileSync(new URL('../src/sdk-error.ts', import.meta.url), 'utf8');

test('the README lists every error code', () => {
  const codes = [...new Set(errors.match(/ERR_SDK_\w+/g))];
  expect(codes.filter((code) => !readme.includes(`\`${code}\``))).toEqual([]);
});

test.each(['./example.ts', './signing-example.ts', './token-example.ts'])(
  'the README shows the example that is type-checked beside this test: %s',
  (file) => {
    expect(readme).toContain(readFileSync(new URL(file, import.meta.url), 'utf8'));
  },
);

test.each(['./calling-example.ts', './token-example.ts'])(
  'the guide for services shows what is type-checked: %s',
  (file) => {
    const guide = readFileSync(new URL('../../../docs/start/services.md', import.meta.url), 'utf8');
    expect(guide).toContain(readFileSync(new URL(file, import.meta.url), 'utf8'));
  },
);

test('a workload is what a server takes for its TLS identity, as the README shows', async () => {
  const authority = await TestAuthority.start();
  const identity = await issueIdentity(authority.authority, WORKLOAD_ID, 60);
  const workload: Pick<Workload, 'chain' | 'keyPem'> = identity;
  const tls = { svid: () => workload, clientCertificates: 'require' as const };
  expect(serverTlsOptions(tls).cert).toBe(encodePem(identity.chain));
  const server = createServer(serverTlsOptions(tls));
  renewServerTls(server, tls);
  expect(withTransaction({ accept: 'application/json' }, { host: 'a' })).toEqual({
    accept: 'application/json',
  });
  await authority.stop();
});
