import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connectWorkload,
  type SdkError,
  type Workload,
  type WorkloadOptions,
  workloadFromEnvironment,
} from '@countersign/sdk';
import { verifyX509Svid } from '@countersign/spiffe';
import { request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AUTHORITY_ID,
  startPeer,
  TestAuthority,
  type TestPeer,
  TRUST_DOMAIN,
  WORKLOAD_ID,
} from './test-authority.ts';

let authority: TestAuthority;
let folder: string;
let ends: (() => Promise<unknown>)[];

beforeEach(async () => {
  ends = [];
  authority = await TestAuthority.start();
  folder = await mkdtemp(join(tmpdir(), 'countersign-sdk-'));
  ends.push(
    () => authority.stop(),
    () => rm(folder, { recursive: true, force: true }),
  );
});

afterEach(async () => {
  for (const end of ends.toReversed()) await end();
});

function options(more: Partial<WorkloadOptions> = {}): WorkloadOptions {
  return {
    authorityUrl: authority.url,
    authoritySpiffeId: AUTHORITY_ID,
    x509Authorities: authority.anchors,
    trustDomain: TRUST_DOMAIN,
    ...more,
  };
}

async function connect(more: Partial<WorkloadOptions> = {}): Promise<Workload> {
  const workload = await connectWorkload(options(more));
  ends.push(() => workload.close());
  return workload;
}

async function enrolled(more: Partial<WorkloadOptions> = {}): Promise<Workload> {
  return connect({ joinToken: authority.join('token-1'), ...more });
}

async function peer(more: Parameters<typeof startPeer>[1] = {}): Promise<TestPeer> {
  const started = await startPeer(authority, more);
  ends.push(() => started.stop());
  return started;
}

function rotation(workload: Workload): Promise<void> {
  return new Promise((resolve) => {
    const stop = workload.onRotate(() => {
      stop();
      resolve();
    });
  });
}

async function call(
  workload: Workload,
  to: TestPeer,
  path = '/',
): Promise<Record<string, unknown>> {
  const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
  const { body } = await request(`${to.origin}${path}`, { dispatcher });
  return (await body.json()) as Record<string, unknown>;
}

describe('enrolling', () => {
  test('a join token gives an SVID that verifies, for a key that only the workload has', async () => {
    const workload = await enrolled({ extra: { logVerifierKey: 'point+1+abc' } });
    const verified = verifyX509Svid(workload.chain, { bundles: authority.bundles, now: Date.now });
    expect(workload.spiffeId).toBe(WORKLOAD_ID);
    expect(verified.spiffeId.uri).toBe(WORKLOAD_ID);
    expect(verified.notAfterMs).toBe(workload.notAfterMs);
    expect(authority.requests).toMatchObject([
      {
        path: '/v1/enrol',
        header: { alg: 'ES256', typ: 'svid-request+jwt', jwk: { kty: 'EC', crv: 'P-256' } },
        payload: { aud: TRUST_DOMAIN, extra: { logVerifierKey: 'point+1+abc' } },
      },
    ]);
    expect(Object.keys(authority.requests[0]?.header['jwk'] as object)).toEqual([
      'kty',
      'crv',
      'x',
      'y',
    ]);
    expect(Object.keys(authority.requests[0]?.payload ?? {})).toEqual([
      'aud',
      'iat',
      'jti',
      'extra',
    ]);
  });

  test('a refusal is shown with what the authority said, and not tried again', async () => {
    await enrolled();
    await expect(connect({ joinToken: 'token-1' })).rejects.toMatchObject({
      code: 'ERR_SDK_AUTHORITY_REFUSED',
      status: 401,
      message:
        'could not get svid: found status 401 (join token refused: unknown or used), expected 200',
    });
  });

  test('an authority with another SPIFFE ID never sees the join token', async () => {
    const impostor = await TestAuthority.start({ id: `spiffe://${TRUST_DOMAIN}/workload/evil` });
    ends.push(() => impostor.stop());
    impostor.join('token-1');
    await expect(
      connect({
        authorityUrl: impostor.url,
        x509Authorities: impostor.anchors,
        joinToken: 'token-1',
      }),
    ).rejects.toMatchObject({
      code: 'ERR_SDK_AUTHORITY_UNREACHABLE',
      cause: { code: 'ERR_SPIFFE_PEER_UNEXPECTED' },
    });
    expect(impostor.joinTokens.has('token-1')).toBe(true);
  });

  test('an authority of the right name from a foreign CA never sees the join token', async () => {
    const impostor = await TestAuthority.start();
    ends.push(() => impostor.stop());
    impostor.join('token-1');
    await expect(
      connect({ authorityUrl: impostor.url, joinToken: 'token-1' }),
    ).rejects.toMatchObject({
      code: 'ERR_SDK_AUTHORITY_UNREACHABLE',
    });
    expect(impostor.joinTokens.has('token-1')).toBe(true);
  });

  test('waits for an authority that is not there yet', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    probe.close();
    await once(probe, 'close');
    const failure = Promise.withResolvers<Error>();
    const late = connect({
      authorityUrl: `https://127.0.0.1:${port}`,
      joinToken: authority.join('token-1'),
      onFailure: failure.resolve,
    });
    expect(await failure.promise).toMatchObject({ code: 'ERR_SDK_AUTHORITY_UNREACHABLE' });
    // A plain forwarder: what listens later is the same authority.
    const upstream = Number(new URL(authority.url).port);
    const forwarder = createServer((socket) => {
      const onward = dial(upstream, '127.0.0.1');
      socket.on('error', () => onward.destroy());
      onward.on('error', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
    forwarder.listen(port, '127.0.0.1');
    ends.push(async () => forwarder.close());
    expect((await late).spiffeId).toBe(WORKLOAD_ID);
  });

  test.each<[string, (answer: Record<string, unknown>) => unknown]>([
    [
      'for another ID',
      (answer) => ({ ...answer, spiffeId: `spiffe://${TRUST_DOMAIN}/workload/other` }),
    ],
    ['without chain', (answer) => ({ ...answer, chain: [] })],
    [
      'whose authorities did not sign it',
      (answer) => ({ ...answer, authorities: answer['chain'] }),
    ],
    ['without renewal time', ({ renewAfterMs: _, ...answer }) => answer],
    ['that is no object', () => null],
  ])('refuses an answer %s', async (_, tamper) => {
    authority.tamper = tamper;
    await expect(enrolled()).rejects.toMatchObject({ code: 'ERR_SDK_ANSWER_INVALID' });
  });

  test('refuses an SVID for a key that it did not ask for', async () => {
    const first = await enrolled();
    authority.tamper = (answer) => ({
      ...answer,
      chain: first.chain.map((der) => Buffer.from(der).toString('base64')),
    });
    await expect(connect({ joinToken: authority.join('token-2') })).rejects.toMatchObject({
      code: 'ERR_SDK_ANSWER_INVALID',
      message: 'could not accept svid: found another key, expected the one asked for',
    });
  });

  test.each<[string, Partial<WorkloadOptions>]>([
    ['plain http', { authorityUrl: 'http://127.0.0.1:1' }],
    ['a path in the authority url', { authorityUrl: 'https://127.0.0.1:1/v1' }],
    ['no url', { authorityUrl: 'authority' }],
    ['a foreign authority', { authoritySpiffeId: 'spiffe://other.example/workload/authority' }],
    ['an authority that is no id', { authoritySpiffeId: 'authority' }],
  ])('refuses options with %s', async (_, more) => {
    await expect(connect(more)).rejects.toMatchObject({ code: 'ERR_SDK_OPTIONS_INVALID' });
  });
});

describe('the folder', () => {
  test('keeps SVID and key for the owner only, and a restart needs no token', async () => {
    const first = await enrolled({ folder });
    expect(await readdir(folder)).toEqual(['svid.json']);
    expect((await stat(join(folder, 'svid.json'))).mode & 0o777).toBe(0o600);
    const second = await connect({ folder });
    expect(second.keyPem).toBe(first.keyPem);
    expect(second.notAfterMs).toBe(first.notAfterMs);
    expect(authority.requests).toHaveLength(1);
    const to = await peer();
    expect(await call(second, to)).toMatchObject({ id: WORKLOAD_ID });
  });

  test('a restart from the folder needs no authority', async () => {
    await enrolled({ folder });
    await authority.stop();
    expect((await connect({ folder })).spiffeId).toBe(WORKLOAD_ID);
  });

  test('without SVID and without token there is no identity', async () => {
    await expect(connect({ folder })).rejects.toMatchObject({ code: 'ERR_SDK_NO_IDENTITY' });
    await expect(connect()).rejects.toMatchObject({ code: 'ERR_SDK_NO_IDENTITY' });
  });

  test('an expired SVID is none', async () => {
    await enrolled({ folder });
    const later = () => Date.now() + 601_000;
    await expect(connect({ folder, now: later })).rejects.toMatchObject({
      code: 'ERR_SDK_NO_IDENTITY',
    });
  });

  test('refuses a key that others may read', async () => {
    await enrolled({ folder });
    await chmod(join(folder, 'svid.json'), 0o640);
    await expect(connect({ folder })).rejects.toMatchObject({
      code: 'ERR_SDK_STORE_INVALID',
      message: `could not use '${join(folder, 'svid.json')}': found mode 0640, expected 0600`,
    });
  });

  test.each<[string, (stored: Record<string, unknown>) => unknown]>([
    [
      'another key',
      (stored) => ({ ...stored, keyPem: String(stored['keyPem']).replace('M', 'N') }),
    ],
    ['no key', ({ keyPem: _, ...stored }) => stored],
    ['another ID', (stored) => ({ ...stored, spiffeId: `spiffe://${TRUST_DOMAIN}/workload/x` })],
    [
      'a life that is longer than its certificate',
      (stored) => ({ ...stored, chain: [], notAfterMs: 9e15 }),
    ],
  ])('refuses a file with %s; a join token helps', async (_, change) => {
    await enrolled({ folder });
    const path = join(folder, 'svid.json');
    const stored = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify(change(stored)));
    await expect(connect({ folder })).rejects.toMatchObject({ code: 'ERR_SDK_STORE_INVALID' });
    const failures: Error[] = [];
    await connect({
      folder,
      joinToken: authority.join('token-2'),
      onFailure: (error) => failures.push(error),
    });
    expect(failures).toMatchObject([{ code: 'ERR_SDK_STORE_INVALID' }]);
    expect((await connect({ folder })).spiffeId).toBe(WORKLOAD_ID);
  });

  test('a file that is no JSON is refused', async () => {
    await enrolled({ folder });
    await writeFile(join(folder, 'svid.json'), '{"keyPem"');
    await expect(connect({ folder })).rejects.toMatchObject({ code: 'ERR_SDK_STORE_INVALID' });
  });
});

describe('renewing', () => {
  test('gives a new certificate for a new key over mTLS, and keeps it', async () => {
    authority.renewAt = 0.0002;
    const workload = await enrolled({ folder });
    const { keyPem, chain } = workload;
    authority.renewAt = 0.5;
    await rotation(workload);
    expect(authority.requests.map(({ path }) => path)).toEqual(['/v1/enrol', '/v1/svid']);
    expect(workload.keyPem).not.toBe(keyPem);
    expect(workload.chain).not.toEqual(chain);
    expect(JSON.parse(await readFile(join(folder, 'svid.json'), 'utf8')).keyPem).toBe(
      workload.keyPem,
    );
  });

  test('a rotation under load drops no request, and calls go over to the new certificate', async () => {
    authority.ttlSeconds = 60;
    authority.renewAt = 0.003;
    const workload = await enrolled();
    const to = await peer({ delayMs: 5 });
    const serials = new Set<unknown>();
    let rotations = 0;
    let isOver = false;
    const enough = new Promise<void>((resolve) => {
      workload.onRotate(() => {
        rotations += 1;
        if (rotations === 3) resolve();
      });
    });
    let requests = 0;
    const callers = Array.from({ length: 16 }, async () => {
      while (!isOver) {
        const answer = await call(workload, to);
        expect(answer['id']).toBe(WORKLOAD_ID);
        serials.add(answer['serial']);
        requests += 1;
      }
    });
    await enough;
    isOver = true;
    await Promise.all(callers);
    expect(serials.size).toBeGreaterThanOrEqual(3);
    const newest = () =>
      verifyX509Svid(workload.chain, { bundles: authority.bundles, now: Date.now }).serialHex;
    // It goes on rotating: only a call with no rotation in the middle tells.
    let before: string;
    let serial: unknown;
    do {
      before = newest();
      ({ serial } = await call(workload, to));
    } while (before !== newest());
    expect(serial).toBe(before);
    expect(requests).toBeGreaterThan(20);
    expect(to.refusals).toEqual([]);
  });

  test('is tried again until it works', async () => {
    authority.ttlSeconds = 4;
    authority.renewAt = 0.0002;
    const failures: Error[] = [];
    const token = authority.join('token-1');
    authority.tamper = (answer) => {
      authority.refusal = { status: 503, title: 'not now' };
      return answer;
    };
    const workload = await connect({
      joinToken: token,
      onFailure: (error) => {
        failures.push(error);
        if (failures.length === 2) authority.refusal = undefined;
      },
    });
    authority.tamper = (answer) => answer;
    authority.renewAt = 0.5;
    await rotation(workload);
    expect(failures).toMatchObject([
      { code: 'ERR_SDK_AUTHORITY_REFUSED', status: 503 },
      { code: 'ERR_SDK_AUTHORITY_REFUSED', status: 503 },
    ]);
  });

  test('waits as long as the authority says before it asks again', async () => {
    authority.ttlSeconds = 20;
    authority.renewAt = 0.0002;
    const seen: string[] = [];
    const token = authority.join('token-1');
    authority.tamper = (answer) => {
      authority.refusal = { status: 429, title: 'Too Many Requests', retryAfterSeconds: 3 };
      return answer;
    };
    const workload = await connect({
      joinToken: token,
      onFailure: (error) => {
        expect(error).toMatchObject({ status: 429, retryAfterMs: 3000 });
        seen.push('refused');
        authority.refusal = undefined;
        // Without the word of the authority the next try would have come before.
        setTimeout(() => seen.push('after two seconds'), 2000);
      },
    });
    authority.tamper = (answer) => answer;
    authority.renewAt = 0.5;
    await rotation(workload);
    seen.push('renewed');
    expect(seen).toEqual(['refused', 'after two seconds', 'renewed']);
  });

  test('refuses to become somebody else', async () => {
    authority.renewAt = 0.0002;
    const failure = Promise.withResolvers<Error>();
    const workload = await enrolled({ onFailure: failure.resolve });
    authority.issueAs = `spiffe://${TRUST_DOMAIN}/workload/other`;
    expect(await failure.promise).toMatchObject({
      code: 'ERR_SDK_ANSWER_INVALID',
      message: `could not renew svid: found '${authority.issueAs}', expected '${WORKLOAD_ID}'`,
    });
    expect(workload.spiffeId).toBe(WORKLOAD_ID);
  });

  test('a listener that throws is reported and stops nobody else', async () => {
    authority.renewAt = 0.0002;
    const failures: Error[] = [];
    const workload = await enrolled({ onFailure: (error) => failures.push(error) });
    authority.renewAt = 0.5;
    workload.onRotate(() => {
      throw new Error('listener broke');
    });
    await rotation(workload);
    expect(failures.map(({ message }) => message)).toEqual(['listener broke']);
  });
});

describe('expiry', () => {
  test('without renewal calls fail with the reason, and a connection in use is cut', {
    timeout: 20_000,
  }, async () => {
    authority.ttlSeconds = 3;
    const to = await peer();
    const failures: Error[] = [];
    const workload = await enrolled({ onFailure: (error) => failures.push(error) });
    authority.refusal = { status: 403, title: 'disabled', detail: 'this workload was disabled' };
    let rotations = 0;
    workload.onRotate(() => {
      rotations += 1;
    });
    const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
    const { body } = await request(`${to.origin}/hang`, { dispatcher });
    await expect(body.text()).rejects.toMatchObject({ code: 'ERR_SDK_SVID_EXPIRED' });
    expect(Date.now()).toBeGreaterThanOrEqual(workload.notAfterMs);
    await expect(call(workload, to)).rejects.toMatchObject({
      code: 'ERR_SDK_SVID_EXPIRED',
      message: expect.stringMatching(
        /expired at .*; last renewal: .*403 \(disabled: this workload was disabled\)/,
      ),
    });
    expect(rotations).toBe(0);
    expect(to.handled).toBe(1);
    expect(failures.map((error) => (error as SdkError).code)).toContain(
      'ERR_SDK_AUTHORITY_REFUSED',
    );
  });

  test('a connection ends with the certificate of the peer, and an expired peer gets no call', {
    timeout: 20_000,
  }, async () => {
    const to = await peer({ ttlSeconds: 3 });
    const workload = await enrolled();
    const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
    const { body } = await request(`${to.origin}/hang`, { dispatcher });
    await expect(body.text()).rejects.toMatchObject({ code: 'ERR_SDK_SVID_EXPIRED' });
    await expect(call(workload, to)).rejects.toThrow(/expired/);
    expect(to.connections).toBe(2);
    expect(to.handled).toBe(1);
  });
});

describe('calling a peer', () => {
  test('uses its connections again, as this workload', async () => {
    const workload = await enrolled();
    const to = await peer();
    for (let count = 0; count < 10; count += 1) {
      expect(await call(workload, to)).toMatchObject({ id: WORKLOAD_ID });
    }
    // undici may open a second one while it takes the first back into service.
    expect(to.connections).toBeLessThanOrEqual(2);
    expect(workload.dispatcherFor(`${to.origin}/`, to.spiffeId)).toBe(
      workload.dispatcherFor(to.origin, to.spiffeId),
    );
  });

  test('a server with another SPIFFE ID gets no request', async () => {
    const workload = await enrolled();
    const to = await peer({ spiffeId: `spiffe://${TRUST_DOMAIN}/workload/evil` });
    const dispatcher = workload.dispatcherFor(
      to.origin,
      `spiffe://${TRUST_DOMAIN}/workload/ledger/api`,
    );
    await expect(request(to.origin, { dispatcher })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_PEER_UNEXPECTED',
    });
    expect(to.handled).toBe(0);
  });

  test('a request for another origin is not sent to this peer', async () => {
    const workload = await enrolled();
    const to = await peer();
    const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
    await expect(request('https://elsewhere.example/', { dispatcher })).rejects.toMatchObject({
      code: 'ERR_SDK_ORIGIN_FOREIGN',
    });
    expect(to.connections).toBe(0);
  });

  test('a refused request is told to its handler, as undici does it', async () => {
    const workload = await enrolled();
    const dispatcher = workload.dispatcherFor('https://127.0.0.1:1', WORKLOAD_ID);
    const errors: Error[] = [];
    const elsewhere = { origin: 'https://127.0.0.1:2', path: '/', method: 'GET' as const };
    const isReady = dispatcher.dispatch(elsewhere, {
      onResponseError: (controller, error) => {
        controller.abort(error);
        errors.push(error);
      },
    });
    expect(isReady).toBe(false);
    expect(errors).toMatchObject([{ code: 'ERR_SDK_ORIGIN_FOREIGN' }]);
    expect(() => dispatcher.dispatch(elsewhere, {})).toThrow(errors[0]?.message);
  });

  test('dispatchers close and end with a callback, too', async () => {
    const workload = await enrolled();
    const to = await peer();
    const open = () => workload.dispatcherFor(to.origin, to.spiffeId);
    await call(workload, to);
    await new Promise<void>((resolve) => open().close(resolve));
    await call(workload, to);
    await new Promise<void>((resolve) => open().destroy(resolve));
    await call(workload, to);
    await new Promise<void>((resolve) => open().destroy(new Error('enough'), resolve));
    expect(to.connections).toBe(3);
  });

  test('4096 requests may wait, and beyond that they are refused at once', async () => {
    const workload = await enrolled();
    const silent = createServer(() => undefined);
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    ends.push(async () => silent.close());
    const origin = `https://127.0.0.1:${(silent.address() as { port: number }).port}`;
    const dispatcher = workload.dispatcherFor(origin, WORKLOAD_ID);
    const codes: unknown[] = [];
    let failed = 0;
    const requests = Array.from({ length: 4400 }, () =>
      request(origin, { dispatcher }).catch((error: SdkError) => {
        failed += 1;
        codes.push(error.code);
      }),
    );
    await new Promise(setImmediate);
    const refused = failed;
    // Each of the 128 connections holds one besides.
    expect(refused).toBeGreaterThanOrEqual(4400 - 4096 - 128);
    expect(refused).toBeLessThanOrEqual(4400 - 4096);
    expect(new Set(codes)).toEqual(new Set(['ERR_SDK_LIMIT']));
    await workload.close();
    await Promise.all(requests);
    expect(new Set(codes)).toEqual(new Set(['ERR_SDK_LIMIT', 'ERR_SDK_CLOSED']));
  });

  test.each([
    ['http://127.0.0.1:1', 'spiffe://bank.example/workload/a'],
    ['https://127.0.0.1:1/path', 'spiffe://bank.example/workload/a'],
    ['https://127.0.0.1:1', 'https://bank.example/'],
  ])('refuses %s as %s', async (origin, id) => {
    const workload = await enrolled();
    expect(() => workload.dispatcherFor(origin, id)).toThrow(
      expect.objectContaining({ code: 'ERR_SDK_OPTIONS_INVALID' }),
    );
  });

  test('at most 1024 peers', async () => {
    const workload = await enrolled();
    for (let port = 1; port <= 1024; port += 1) {
      workload.dispatcherFor(`https://127.0.0.1:${port}`, WORKLOAD_ID);
    }
    expect(() => workload.dispatcherFor('https://127.0.0.1:2000', WORKLOAD_ID)).toThrow(
      expect.objectContaining({ code: 'ERR_SDK_LIMIT' }),
    );
    await workload.dispatcherFor('https://127.0.0.1:1', WORKLOAD_ID).close();
    expect(workload.dispatcherFor('https://127.0.0.1:2000', WORKLOAD_ID)).toBeDefined();
  });

  test('a closed dispatcher is closed, and the next one for that peer is open', async () => {
    const workload = await enrolled();
    const to = await peer();
    const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
    await dispatcher.close();
    await expect(request(to.origin, { dispatcher })).rejects.toMatchObject({
      code: 'ERR_SDK_CLOSED',
    });
    expect(await call(workload, to)).toMatchObject({ id: WORKLOAD_ID });
  });

  test('a closed workload ends what is open and calls no more', async () => {
    const workload = await enrolled();
    const to = await peer();
    const dispatcher = workload.dispatcherFor(to.origin, to.spiffeId);
    const { body } = await request(`${to.origin}/hang`, { dispatcher });
    const ended = expect(body.text()).rejects.toMatchObject({ code: 'ERR_SDK_CLOSED' });
    await workload.close();
    await ended;
    expect(() => workload.dispatcherFor(to.origin, to.spiffeId)).toThrow(
      expect.objectContaining({ code: 'ERR_SDK_CLOSED' }),
    );
    await expect(request(to.origin, { dispatcher })).rejects.toMatchObject({
      code: 'ERR_SDK_CLOSED',
    });
  });
});

describe('the environment', () => {
  async function environment(more: Record<string, string | undefined> = {}) {
    const trust = join(folder, 'trust.json');
    await writeFile(
      trust,
      JSON.stringify({
        trustDomain: TRUST_DOMAIN,
        x509Authorities: authority.anchors,
        factKeys: [],
        policyKeys: [],
      }),
    );
    return {
      COUNTERSIGN_AUTHORITY_URL: authority.url,
      COUNTERSIGN_TRUST: trust,
      COUNTERSIGN_SVID_FOLDER: join(folder, 'svid'),
      ...more,
    };
  }

  test('describes a workload; the token file may be gone at the second start', async () => {
    const path = join(folder, 'token');
    await writeFile(path, `${authority.join('token-1')}\n`);
    const variables = await environment({ COUNTERSIGN_JOIN_TOKEN_FILE: path });
    const first = await workloadFromEnvironment(variables);
    ends.push(() => first.close());
    expect(first.spiffeId).toBe(WORKLOAD_ID);
    await rm(path);
    const second = await workloadFromEnvironment(variables);
    ends.push(() => second.close());
    expect(second.keyPem).toBe(first.keyPem);
  });

  test('takes the token itself, too', async () => {
    const token = authority.join('token-1');
    const workload = await workloadFromEnvironment(
      await environment({ COUNTERSIGN_JOIN_TOKEN: token }),
    );
    ends.push(() => workload.close());
    expect(workload.spiffeId).toBe(WORKLOAD_ID);
  });

  test.each<[string, Record<string, string | undefined>]>([
    ['no authority', { COUNTERSIGN_AUTHORITY_URL: undefined }],
    ['no trust', { COUNTERSIGN_TRUST: undefined }],
    ['trust that is not there', { COUNTERSIGN_TRUST: '/nowhere/trust.json' }],
    ['two tokens', { COUNTERSIGN_JOIN_TOKEN: 'a', COUNTERSIGN_JOIN_TOKEN_FILE: 'b' }],
  ])('refuses %s', async (_, more) => {
    await expect(workloadFromEnvironment(await environment(more))).rejects.toMatchObject({
      code: 'ERR_SDK_OPTIONS_INVALID',
    });
  });

  test('refuses trust without authorities', async () => {
    const variables = await environment();
    await writeFile(
      variables.COUNTERSIGN_TRUST,
      JSON.stringify({ trustDomain: TRUST_DOMAIN, x509Authorities: [] }),
    );
    await expect(workloadFromEnvironment(variables)).rejects.toMatchObject({
      code: 'ERR_SDK_OPTIONS_INVALID',
    });
  });
});
