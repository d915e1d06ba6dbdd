import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  attestationFromEnvironment,
  connectWorkload,
  type Workload,
  type WorkloadOptions,
  workloadFromEnvironment,
} from '@countersign/sdk';
import { encodePem } from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AUTHORITY_ID, TestAuthority, TRUST_DOMAIN, WORKLOAD_ID } from './test-authority.ts';

let authority: TestAuthority;
let folder: string;
let tokenFile: string;
let failures: string[];
const open: Workload[] = [];

beforeEach(async () => {
  authority = await TestAuthority.start();
  folder = await mkdtemp(join(tmpdir(), 'countersign-sdk-'));
  tokenFile = join(folder, 'token');
  failures = [];
  authority.pods.set('pod-token', WORKLOAD_ID);
  await writeFile(tokenFile, 'pod-token\n');
});
afterEach(async () => {
  for (const workload of open.splice(0)) await workload.close();
  await authority.stop();
  await rm(folder, { recursive: true, force: true });
});

async function connect(more: Partial<WorkloadOptions> = {}): Promise<Workload> {
  const workload = await connectWorkload({
    authorityUrl: authority.url,
    authoritySpiffeId: AUTHORITY_ID,
    x509Authorities: authority.anchors,
    trustDomain: TRUST_DOMAIN,
    attestation: { kind: 'kubernetes', tokenFile },
    onFailure: (error) => void failures.push(error.message),
    ...more,
  });
  open.push(workload);
  return workload;
}

const paths = () => authority.requests.map(({ path }) => path);

describe('a workload that is attested', () => {
  test('joins without a join token, and is told by what the authority says', async () => {
    authority.tamper = (answer) => ({ ...answer, joinedBy: 'pod payments/api-0' });
    const workload = await connect();
    expect([workload.spiffeId, workload.joinedBy]).toEqual([WORKLOAD_ID, 'pod payments/api-0']);
  });

  test('is said to have joined so after a restart from its folder, and after a renewal', async () => {
    authority.tamper = (answer) => ({ ...answer, joinedBy: 'pod payments/api-0' });
    authority.renewAt = 0.001;
    const first = await connect({ folder: join(folder, 'svid') });
    authority.tamper = (answer) => answer;
    await new Promise<void>((resolve) => first.onRotate(resolve));
    await first.close();
    authority.renewAt = 0.5;
    const second = await connect({ folder: join(folder, 'svid') });
    expect(second.joinedBy).toBe('pod payments/api-0');
    expect(paths().filter((path) => path === '/v1/enrol')).toEqual(['/v1/enrol']);
  });

  test('joins again by itself when its SVID ended while the authority was away, with what the file says then', async () => {
    authority.ttlSeconds = 2;
    const workload = await connect();
    authority.refusal = { status: 503 };
    await expect.poll(() => Date.now() > workload.notAfterMs, { timeout: 10_000 }).toBe(true);
    authority.pods.clear();
    authority.pods.set('rotated', WORKLOAD_ID);
    await writeFile(tokenFile, 'rotated');
    authority.refusal = undefined;
    authority.ttlSeconds = 600;
    await new Promise<void>((resolve) => workload.onRotate(resolve));
    expect(workload.notAfterMs).toBeGreaterThan(Date.now() + 300_000);
    expect(paths().filter((path) => path === '/v1/enrol')).toHaveLength(2);
    expect(failures.join('\n')).toContain('svid expired');
  }, 30_000);

  test('asks once at a time, also when its SVID ends while a renewal is under way', async () => {
    authority.ttlSeconds = 2;
    const workload = await connect();
    const { promise, resolve } = Promise.withResolvers<void>();
    authority.hold = promise;
    const endsMs = workload.notAfterMs;
    await expect.poll(() => Date.now() > endsMs + 500, { timeout: 10_000 }).toBe(true);
    authority.hold = undefined;
    authority.refusal = { status: 503 };
    resolve();
    await expect.poll(() => failures.join('\n'), { timeout: 10_000 }).toContain('status 503');
    authority.refusal = undefined;
    authority.ttlSeconds = 600;
    await expect.poll(() => workload.notAfterMs, { timeout: 20_000 }).toBeGreaterThan(endsMs);
    expect(authority.openMax).toBe(1);
  }, 40_000);

  test('does not become somebody else by that', async () => {
    authority.ttlSeconds = 2;
    const workload = await connect();
    authority.refusal = { status: 503 };
    await expect.poll(() => Date.now() > workload.notAfterMs, { timeout: 10_000 }).toBe(true);
    authority.pods.set('pod-token', `spiffe://${TRUST_DOMAIN}/workload/other`);
    authority.refusal = undefined;
    await expect
      .poll(() => failures.join('\n'), { timeout: 20_000 })
      .toContain(`could not join again: found 'spiffe://${TRUST_DOMAIN}/workload/other'`);
    expect(workload.spiffeId).toBe(WORKLOAD_ID);
  }, 30_000);

  test('whose answer was lost asks again with the same key, so that it is known to be the same', async () => {
    authority.loseAnswers = 2;
    await connect();
    const keys = authority.requests.map(({ header }) => JSON.stringify(header['jwk']));
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    const ids = authority.requests.map(({ payload }) => payload['jti']);
    expect(new Set(ids).size).toBe(3);
  });

  test('is tried again while the cluster cannot be asked, and not when it is refused', async () => {
    authority.refusal = { status: 503, title: 'Service Unavailable' };
    setTimeout(() => {
      authority.refusal = undefined;
    }, 300);
    await connect();
    expect(failures.length).toBeGreaterThan(0);
    authority.refusal = { status: 401, title: 'Unauthorized' };
    failures = [];
    await expect(connect()).rejects.toMatchObject({ code: 'ERR_SDK_AUTHORITY_REFUSED' });
    expect(failures).toEqual([]);
  });

  test.each([
    [{ kind: 'kubernetes', tokenFile: '/nowhere/token' }, /ENOENT/],
    [{ kind: 'certificate', certificateFile: '/nowhere/a', keyFile: '/nowhere/b' }, /ENOENT/],
  ] as const)('without its files is told which: %j', async (attestation, says) => {
    await expect(connect({ attestation })).rejects.toMatchObject({
      code: 'ERR_SDK_OPTIONS_INVALID',
      message: expect.stringMatching(says),
    });
  });

  test('with a file that holds no certificate is told', async () => {
    const attestation = { kind: 'certificate', certificateFile: tokenFile, keyFile: tokenFile };
    await expect(connect({ attestation } as Partial<WorkloadOptions>)).rejects.toThrow(
      /could not join with '.+token'/,
    );
  });
});

test('a certificate beside the key of another is told at once, and nothing is sent', async () => {
  const [anchor = ''] = authority.anchors;
  const certificateFile = join(folder, 'host.pem');
  const keyFile = join(folder, 'host.key');
  await writeFile(certificateFile, encodePem([Buffer.from(anchor, 'base64')]));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const attestation = { kind: 'certificate', certificateFile, keyFile } as const;
  await expect(connect({ attestation })).rejects.toMatchObject({
    code: 'ERR_SDK_OPTIONS_INVALID',
    message: expect.stringContaining(`host.key': found another key than that of`),
  });
  expect([failures, paths()]).toEqual([[], []]);
});

describe('the environment', () => {
  test('that names neither a Workload API nor an authority is told of both', async () => {
    await expect(workloadFromEnvironment({})).rejects.toMatchObject({
      code: 'ERR_SDK_OPTIONS_INVALID',
      message: expect.stringMatching(/SPIFFE_ENDPOINT_SOCKET and no COUNTERSIGN_TRUST/),
    });
  });

  test('makes a workload of a pod, with nothing else than its token', async () => {
    const trust = join(folder, 'trust.json');
    const x509Authorities = authority.anchors;
    await writeFile(trust, JSON.stringify({ trustDomain: TRUST_DOMAIN, x509Authorities }));
    const workload = await workloadFromEnvironment({
      COUNTERSIGN_AUTHORITY_URL: authority.url,
      COUNTERSIGN_TRUST: trust,
      COUNTERSIGN_JOIN_KUBERNETES: tokenFile,
    });
    open.push(workload);
    expect(workload.spiffeId).toBe(WORKLOAD_ID);
  });

  test('says by what to join', () => {
    expect(attestationFromEnvironment({})).toBeUndefined();
    expect(
      attestationFromEnvironment({ COUNTERSIGN_JOIN_CERTIFICATE: 'c', COUNTERSIGN_JOIN_KEY: 'k' }),
    ).toEqual({ kind: 'certificate', certificateFile: 'c', keyFile: 'k' });
    expect(attestationFromEnvironment({ COUNTERSIGN_JOIN_KUBERNETES: 't' })).toEqual({
      kind: 'kubernetes',
      tokenFile: 't',
    });
    const COUNTERSIGN_JOIN_CLUSTER = 'prod';
    expect(
      attestationFromEnvironment({ COUNTERSIGN_JOIN_KUBERNETES: 't', COUNTERSIGN_JOIN_CLUSTER }),
    ).toEqual({ kind: 'kubernetes', tokenFile: 't', cluster: 'prod' });
  });

  test.each([
    [{ COUNTERSIGN_JOIN_CERTIFICATE: 'c' }, 'COUNTERSIGN_JOIN_CERTIFICATE alone'],
    [{ COUNTERSIGN_JOIN_KEY: 'k' }, 'COUNTERSIGN_JOIN_KEY alone'],
    [
      {
        COUNTERSIGN_JOIN_CERTIFICATE: 'c',
        COUNTERSIGN_JOIN_KEY: 'k',
        COUNTERSIGN_JOIN_KUBERNETES: 't',
      },
      'expected one of them',
    ],
  ])('is refused when it says half, or two things: %j', (environment, says) => {
    expect(() => attestationFromEnvironment(environment)).toThrow(says);
  });
});
