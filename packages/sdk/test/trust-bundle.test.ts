import { Buffer } from 'node:buffer';
import { execFile } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectWorkload, type Workload, type WorkloadOptions } from '@countersign/sdk';
import { createX509Authority, softwareSigner } from '@countersign/spiffe';
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

const facts = generateKeyPairSync('ed25519');
const factKey = jwkOf(facts.publicKey, 'facts');
let authority: TestAuthority;
let folder: string;
let ends: (() => Promise<unknown>)[];
let failures: Error[];

beforeEach(async () => {
  authority = await TestAuthority.start();
  folder = await mkdtemp(join(tmpdir(), 'countersign-bundle-'));
  ends = [() => authority.stop(), () => rm(folder, { recursive: true, force: true })];
  failures = [];
});

afterEach(async () => {
  for (const end of ends.toReversed()) await end();
});

async function connect(more: Partial<WorkloadOptions> = {}): Promise<Workload> {
  const workload = await connectWorkload({
    authorityUrl: authority.url,
    authoritySpiffeId: AUTHORITY_ID,
    x509Authorities: authority.anchors,
    factKeys: [factKey],
    trustDomain: TRUST_DOMAIN,
    joinToken: authority.join('token'),
    onFailure: (error) => failures.push(error),
    ...more,
  });
  ends.push(() => workload.close());
  return workload;
}

function jwkOf(key: KeyObject, kid: string): Record<string, string> {
  return { ...(key.export({ format: 'jwk' }) as Record<string, string>), kid };
}

interface Forgery {
  readonly payload?: object;
  readonly header?: object;
  readonly key?: KeyObject;
}

/** A bundle as the authority signs it; parts of it may be another's. */
function signed(
  { sequence, anchors }: { readonly sequence: number; readonly anchors: readonly string[] },
  { payload = {}, header = {}, key = facts.privateKey }: Forgery = {},
): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = encode({ alg: 'EdDSA', kid: 'facts', typ: 'countersign-bundle+jwt', ...header });
  const body = encode({
    trustDomain: TRUST_DOMAIN,
    sequence,
    x509Authorities: anchors,
    ...payload,
  });
  return `${head}.${body}.${sign(null, Buffer.from(`${head}.${body}`), key).toString('base64url')}`;
}

/** Each bundle once, in their order; then nothing new for a while. */
function telling(...bundles: string[]) {
  const left = [...bundles];
  return async (query: URLSearchParams) => {
    if (!query.has('after')) return undefined;
    const next = left.shift();
    if (next === undefined) await new Promise((resolve) => setTimeout(resolve, 1500).unref());
    return next;
  };
}

async function stranger(): Promise<string> {
  const { certificate } = await createX509Authority({
    trustDomain: TRUST_DOMAIN,
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  return Buffer.from(certificate).toString('base64');
}

async function get(workload: Workload, peer: TestPeer, path = '/') {
  const { body } = await request(`${peer.origin}${path}`, {
    dispatcher: workload.dispatcherFor(peer.origin, peer.spiffeId),
  });
  return (await body.json()) as { serial: string };
}

describe('a workload that runs', () => {
  test('takes a new bundle within moments, tells its listeners, and keeps it', async () => {
    const anchors = [...authority.anchors, await stranger()];
    authority.onBundle = telling(signed({ sequence: 7, anchors }));
    const workload = await connect({ folder });
    await new Promise<void>((resolve) => workload.onRotate(resolve));
    expect(workload.authorities.map(base64)).toEqual(anchors);
    await expect
      .poll(async () => JSON.parse(await readFile(join(folder, 'svid.json'), 'utf8')))
      .toMatchObject({ bundleSequence: 7, authorities: anchors });
    expect(failures).toEqual([]);
  });

  test('renews at once when the bundle does not vouch for its SVID, and ends what was opened with it', async () => {
    const { promise: isTaken, resolve: take } = Promise.withResolvers<void>();
    const taken = signed({ sequence: 8, anchors: [await stranger()] });
    let asked = 0;
    authority.onBundle = async (query) => {
      const nonce = query.get('nonce');
      // The authority's own SVID is vouched for no more either: it is asked for the bundle of now, and is in that again, since
      // it cannot issue by another here.
      if (nonce) return signed({ sequence: 9, anchors: authority.anchors }, { payload: { nonce } });
      await isTaken;
      asked += 1;
      return asked === 1 ? taken : undefined;
    };
    const workload = await connect();
    const peer = await startPeer(authority);
    ends.push(() => peer.stop());
    const { serial } = await get(workload, peer);
    const ended = expect(get(workload, peer, '/hang')).rejects.toThrow();
    await expect.poll(() => peer.handled).toBe(2);
    take();
    await ended;
    await expect.poll(() => authority.requests.map(({ path }) => path)).toContain('/v1/svid');
    await expect.poll(() => workload.authorities.map(base64)).toEqual(authority.anchors);
    await expect.poll(async () => (await get(workload, peer)).serial).not.toBe(serial);
  });

  test.each<[string, Forgery & { sequence?: number }]>([
    ['signed by another key', { key: generateKeyPairSync('ed25519').privateKey }],
    ['of another kind of statement', { header: { typ: 'countersign-facts+jwt' } }],
    ['by an algorithm of its own choice', { header: { alg: 'none' } }],
    ['that brings its key', { header: { jwk: factKey } }],
    ['signed by a key that is not in trust.json', { header: { kid: 'other' } }],
    ['of another trust domain', { payload: { trustDomain: 'other.example' } }],
    ['of nobody', { payload: { x509Authorities: [] } }],
    ['without a sequence', { payload: { sequence: 'next' } }],
  ])('refuses a bundle %s, and says so', async (_, forgery) => {
    const anchors = [...authority.anchors, await stranger()];
    authority.onBundle = telling(signed({ sequence: 9, anchors }, forgery));
    const workload = await connect();
    await expect
      .poll(() => failures.map(({ message }) => message))
      .toContainEqual(expect.stringContaining('could not accept bundle'));
    expect(workload.authorities.map(base64)).toEqual(authority.anchors);
  });

  test('does not go back to an older bundle', async () => {
    const newer = [...authority.anchors, await stranger()];
    const older = signed({ sequence: 5, anchors: authority.anchors });
    authority.onBundle = telling(signed({ sequence: 6, anchors: newer }), older, older);
    const workload = await connect();
    await expect.poll(() => workload.authorities.map(base64)).toEqual(newer);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(workload.authorities.map(base64)).toEqual(newer);
  });

  test('goes on with an authority that tells no bundles', async () => {
    const workload = await connect();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(workload.authorities.map(base64)).toEqual(authority.anchors);
    expect(failures).toEqual([]);
  });
});

describe('a host that knows nobody who vouches for the authority', () => {
  const recovering = (more: (query: URLSearchParams) => Forgery = () => ({})) => {
    const asked: string[] = [];
    authority.onBundle = async (query) => {
      const nonce = query.get('nonce');
      if (nonce === null) return undefined;
      asked.push(nonce);
      const forgery = more(query);
      const payload = { nonce, ...forgery.payload };
      return signed({ sequence: 3, anchors: authority.anchors }, { ...forgery, payload });
    };
    return asked;
  };

  test('finds back by the key that signs facts, and sends nothing before', async () => {
    const asked = recovering();
    const workload = await connect({ x509Authorities: [await stranger()] });
    expect(workload.authorities.map(base64)).toEqual(authority.anchors);
    expect(asked).toHaveLength(1);
    expect(authority.requests.map(({ path }) => path)).toEqual(['/v1/enrol']);
  });

  test('finds back in a process that has nothing else to do', async () => {
    recovering();
    const script = `
      import { connectWorkload } from '@countersign/sdk';
      const workload = await connectWorkload(JSON.parse(process.argv[1]));
      console.log(workload.spiffeId);
      await workload.close();`;
    const options = {
      authorityUrl: authority.url,
      authoritySpiffeId: AUTHORITY_ID,
      x509Authorities: [await stranger()],
      factKeys: [factKey],
      trustDomain: TRUST_DOMAIN,
      joinToken: authority.join('token'),
    };
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...['--conditions=@countersign/source', '--input-type=module', '--eval', script],
      JSON.stringify(options),
    ]);
    expect(stdout).toBe(`${WORKLOAD_ID}\n`);
  });

  test.each<[string, Forgery]>([
    ['an answer to another question', { payload: { nonce: 'A'.repeat(32) } }],
    ['an answer by another key', { key: generateKeyPairSync('ed25519').privateKey }],
  ])('does not take %s, and keeps its join token', async (_, forgery) => {
    recovering(() => forgery);
    await expect(connect({ x509Authorities: [await stranger()] })).rejects.toMatchObject({
      code: 'ERR_SDK_ANSWER_INVALID',
    });
    expect(authority.requests).toEqual([]);
    expect(authority.joinTokens.has('token')).toBe(true);
  });

  test('believes nobody without such a key', async () => {
    recovering();
    await expect(
      connect({ x509Authorities: [await stranger()], factKeys: [] }),
    ).rejects.toMatchObject({ code: 'ERR_SDK_AUTHORITY_UNREACHABLE' });
    expect(authority.requests).toEqual([]);
  });
});

function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}
