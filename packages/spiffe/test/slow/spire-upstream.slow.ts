import {
  createJwtIssuer,
  createWorkloadClient,
  createX509Authority,
  openSpireUpstream,
  parseBundle,
  parseSpiffeId,
  softwareSigner,
  type UpstreamAuthority,
  verifyX509Svid,
} from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { p256 } from '../support.ts';
import { mintAndUse } from '../upstream.ts';
import { SPIRE_AGENT, SPIRE_SERVER, startSpire } from './spire.ts';
import { missingOfLong } from './tools.ts';

// Our authority below a real SPIRE.

const TRUST_DOMAIN = 'spire.example';

describe.skipIf(missingOfLong('SPIRE', SPIRE_SERVER, SPIRE_AGENT))('below a SPIRE server', () => {
  let spire: Awaited<ReturnType<typeof startSpire>>;
  let upstream: UpstreamAuthority;
  const open = (options: object = {}) =>
    openSpireUpstream({
      server: { host: '127.0.0.1', port: spire.apiPort },
      workloadApi: spire.endpoint,
      trustDomain: TRUST_DOMAIN,
      lookEveryMs: 200,
      now: Date.now,
      random: Math.random,
      ...options,
    });

  beforeAll(async () => {
    spire = await startSpire(TRUST_DOMAIN);
    upstream = open();
  });

  afterAll(async () => {
    await upstream?.close();
    await spire?.stop();
  });

  test('without an entry it is not available, and says what SPIRE says', async () => {
    await expect(mintAndUse(upstream, { trustDomain: TRUST_DOMAIN })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
      message: expect.stringMatching(/found no identity of SPIRE's agent: .*no identity issued/),
    });
  });

  test('an entry that is not downstream is refused', async () => {
    const entry = await spire.register('/countersign', 3600);
    await expect
      .poll(() => mintAndUse(upstream, { trustDomain: TRUST_DOMAIN }).catch(({ code }) => code), {
        timeout: 30_000,
      })
      .toBe('ERR_SPIFFE_UPSTREAM_REFUSED');
    await spire.server('entry', 'delete', '-entryID', entry);
  });

  test('an authority that SPIRE signed issues SVIDs that verify with the bundle of SPIRE', async () => {
    await spire.register('/countersign-authority', 3600, ['-downstream']);
    const minted = await (async () => {
      for (let count = 0; ; count += 1) {
        try {
          return await mintAndUse(upstream, { trustDomain: TRUST_DOMAIN, ttlSeconds: 600 });
        } catch (error) {
          if (count === 60) throw error;
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
      }
    })();
    expect(minted.notAfterMs).toBeLessThanOrEqual(Date.now() + 600_000);
    const text = await spire.server('bundle', 'show', '-format', 'spiffe');
    const { x509Authorities } = parseBundle(text, { trustDomain: TRUST_DOMAIN });
    expect(minted.x509Roots.map((der) => Buffer.from(der).toString('hex'))).toEqual(
      x509Authorities.map((der) => Buffer.from(der).toString('hex')),
    );
  });

  test("SPIRE's workloads believe our SVIDs and tokens by their own Workload API", async () => {
    const signer = softwareSigner(p256());
    const { chain } = await upstream.mintX509Authority({
      trustDomain: TRUST_DOMAIN,
      signer,
      ttlSeconds: 600,
    });
    const [certificate, ...intermediates] = chain;
    const authority = await createX509Authority({
      ...{ trustDomain: TRUST_DOMAIN, signer, intermediates, now: Date.now },
      certificate: certificate as Uint8Array,
    });
    const spiffeId = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/workload/ours`);
    const svid = await authority.issueSvid({
      spiffeId,
      publicKey: p256().publicKey,
      ttlSeconds: 60,
    });
    const client = createWorkloadClient({ endpoint: spire.endpoint, random: Math.random });
    const bundles = await client.fetchX509Bundles();
    expect(verifyX509Svid(svid.chain, { bundles, now: Date.now }).spiffeId.uri).toBe(spiffeId.uri);

    const issuer = createJwtIssuer({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(p256()),
      now: Date.now,
    });
    const all = await upstream.publishJwtAuthority?.({
      ...issuer.authority,
      notAfterMs: Date.now() + 3_600_000,
    });
    expect(all?.map(({ keyId }) => keyId)).toContain(issuer.authority.keyId);
    expect(all?.length).toBeGreaterThan(1);
    const { token } = await issuer.issueSvid({ spiffeId, audiences: ['ledger'], ttlSeconds: 60 });
    // The agent verifies it, which is SPIRE's code with SPIRE's bundle.
    await expect
      .poll(
        () =>
          client
            .validateJwtSvid({ audience: 'ledger', token })
            .then((validated) => validated.spiffeId.uri)
            .catch(({ code }) => code),
        { timeout: 30_000 },
      )
      .toBe(spiffeId.uri);
    client.close();
  });

  test("a new root of SPIRE's is told, and one that it tainted is not told any more", async () => {
    const seen: number[] = [];
    const stop = upstream.followRoots?.({
      onRoots: (roots) => seen.push(roots.length),
      onError: () => undefined,
    });
    await expect.poll(() => seen).toEqual([1]);
    await spire.server('localauthority', 'x509', 'prepare');
    await expect.poll(() => seen, { timeout: 30_000 }).toEqual([1, 2]);
    const shown = await spire.server('localauthority', 'x509', 'show', '-output', 'json');
    const { prepared, active } = JSON.parse(shown) as Record<string, { authority_id: string }>;
    await spire.server(
      'localauthority',
      'x509',
      'activate',
      '-authorityID',
      prepared?.authority_id ?? '',
    );
    await spire.server(
      'localauthority',
      'x509',
      'taint',
      '-authorityID',
      active?.authority_id ?? '',
    );
    await expect.poll(() => seen, { timeout: 30_000 }).toEqual([1, 2, 1]);
    stop?.();
    // What is signed from now on stands on the new root.
    await expect
      .poll(
        () =>
          mintAndUse(upstream, { trustDomain: TRUST_DOMAIN }).then(
            ({ x509Roots }) => x509Roots.length,
            ({ message }) => message,
          ),
        { timeout: 30_000 },
      )
      .toBe(1);
  });

  test('another server than that of the trust domain is not believed', async () => {
    const other = open({ trustDomain: 'other.example' });
    await expect(mintAndUse(other, { trustDomain: 'other.example' })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
      message: expect.stringContaining('expected'),
    });
    await other.close();
  });

  test('a server that is not there is not available', async () => {
    const nobody = open({ server: { host: '127.0.0.1', port: 1 } });
    await expect(mintAndUse(nobody, { trustDomain: TRUST_DOMAIN })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
    });
    await nobody.close();
  });
});
