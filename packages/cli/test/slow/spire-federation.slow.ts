import { request } from 'node:https';
import { EXIT } from '@countersign/cli';
import {
  clientTlsOptions,
  createWorkloadClient,
  verifyJwtSvid,
  verifyX509Svid,
  type WorkloadClient,
} from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SPIRE_AGENT, SPIRE_SERVER, startSpire } from '../../../spiffe/test/slow/spire.ts';
import { missingOfLong } from '../../../spiffe/test/slow/tools.ts';
import { type FederatedBank, federatedBank } from '../federated-banks.ts';

// A bank of ours and a partner that runs SPIRE: each fetches the other's bundle from its endpoint by https_spiffe.

const API = 'spiffe://spire.example/ns/payments/sa/api';
const AUDIENCE = 'https://api.bank.example';

describe.skipIf(missingOfLong('federation with SPIRE', SPIRE_SERVER, SPIRE_AGENT))(
  'a partner with SPIRE',
  () => {
    let bank: FederatedBank;
    let spire: Awaited<ReturnType<typeof startSpire>>;
    let partner: WorkloadClient;

    beforeAll(async () => {
      [bank, spire] = await Promise.all([
        federatedBank('bank.example'),
        startSpire('spire.example'),
      ]);
      partner = createWorkloadClient({
        endpoint: spire.endpoint,
        random: Math.random,
        backOff: { minMs: 50, maxMs: 500 },
      });
      const ours = await bank.onData('federation', 'bundle');
      const { writeFile } = await import('node:fs/promises');
      const file = `${spire.folder}/bank.json`;
      await writeFile(file, ours.out);
      await spire.server(
        ...['federation', 'create', '-trustDomain', 'bank.example'],
        ...['-bundleEndpointURL', bank.endpointUrl, '-bundleEndpointProfile', 'https_spiffe'],
        ...['-endpointSpiffeID', bank.authorityId],
        ...['-trustDomainBundlePath', file, '-trustDomainBundleFormat', 'spiffe'],
      );
      await spire.register('/ns/payments/sa/api', 60, ['-federatesWith', 'spiffe://bank.example']);
      await bank.declare(
        {
          trustDomain: 'spire.example',
          url: spire.bundleUrl,
          spiffeId: 'spiffe://spire.example/spire/server',
        },
        await spire.server('bundle', 'show', '-format', 'spiffe'),
      );
      await bank.write('identities/nodes.yaml', bank.nodes('spire.example'));
      await bank.write(
        'identities/federated.yaml',
        `- id: partner/federated
  owner: open-banking@bank.example
  attributes: { federated: true }
  spiffeIds: ['${API}']
`,
      );
      await bank.apply();
    }, 120_000);
    afterAll(async () => {
      partner?.close();
      await bank?.[Symbol.asyncDispose]();
      await spire?.stop();
    });

    /** Calls the bank's edge with what SPIRE's agent gives this process just now. */
    async function call(): Promise<{ status: number; serial: string }> {
      const { svids, bundles } = await partner.fetchX509Context();
      const [svid] = svids;
      if (!svid) throw new Error('no SVID');
      const authorities = bundles.get('bank.example') ?? [];
      const tls = clientTlsOptions({ svid, expect: bank.edgeId, authorities, now: Date.now });
      const status = await new Promise<number>((resolve, reject) => {
        const path = '/accounts-api/accounts/22289';
        request(
          { ...(tls as object), host: '127.0.0.1', port: bank.edgePort, path, agent: false },
          (answer) => {
            answer.resume();
            answer.once('end', () => resolve(answer.statusCode ?? 0));
          },
        )
          .once('error', reject)
          .end();
      });
      return { status, serial: Buffer.from(svid.chain[0] ?? []).toString('hex') };
    }

    test('each follows the other’s bundle endpoint', async () => {
      // By the file it is trusted before the endpoint was heard.
      await bank.onData('federation', 'refresh', 'spire.example');
      await expect
        .poll(async () => (await bank.onData('federation', 'list')).out, { timeout: 30_000 })
        .toMatch(/ {2}spire\.example +trusted, sequence \d+, heard /);
      const { out } = await bank.onData('federation', 'show', 'spire.example', '--json');
      const detail = JSON.parse(out);
      expect(detail.trouble).toBeUndefined();
      expect(detail.held).toMatchObject({ x509Authorities: 1, refreshHintSeconds: 60 });
      expect(detail.keyIds.length).toBeGreaterThan(0);
      await spire.server('federation', 'refresh', '-id', 'bank.example');
      await expect
        .poll(async () => JSON.parse((await bank.onData('federation', 'list', '--json')).out).own, {
          timeout: 30_000,
        })
        .toMatchObject({ endpoints: [{ served: expect.any(Number), profile: 'https_spiffe' }] });
      const { own } = JSON.parse((await bank.onData('federation', 'list', '--json')).out);
      expect(own.endpoints[0].served).toBeGreaterThan(0);
    });

    test('its workload calls our edge and is the partner that it is registered for', async () => {
      await expect
        .poll(async () => (await partner.fetchX509Context()).bundles.has('bank.example'), {
          timeout: 30_000,
        })
        .toBe(true);
      expect((await call()).status).toBe(200);
    });

    test('each verifies what the other issues: X.509- and JWT-SVIDs', async () => {
      const theirs = await partner.fetchX509Context();
      const ours = await bank.client().fetchX509Context();
      const ourChain = ours.defaultSvid.chain;
      expect(
        verifyX509Svid(ourChain, { bundles: theirs.bundles, now: Date.now }).spiffeId.uri,
      ).toBe(bank.mine);
      const theirChain = theirs.defaultSvid.chain;
      expect(
        verifyX509Svid(theirChain, { bundles: ours.bundles, now: Date.now }).spiffeId.uri,
      ).toBe(API);
      const [jwt] = await partner.fetchJwtSvids({ audiences: [AUDIENCE] });
      const token = jwt?.token ?? '';
      const validated = await bank.client().validateJwtSvid({ audience: AUDIENCE, token });
      expect(validated.spiffeId.uri).toBe(API);
      const [own] = await bank.client().fetchJwtSvids({ audiences: [AUDIENCE] });
      const bundles = await partner.fetchJwtBundles();
      const verified = verifyJwtSvid(own?.token ?? '', {
        audience: AUDIENCE,
        bundles,
        now: Date.now,
      });
      expect(verified.spiffeId.uri).toBe(bank.mine);
      // SPIRE's own agent says so, too.
      expect(
        (await partner.validateJwtSvid({ audience: AUDIENCE, token: own?.token ?? '' })).spiffeId
          .uri,
      ).toBe(bank.mine);
    });

    test('its authority is rotated while its workload goes on calling', async () => {
      const first = await call();
      const authorityOf = async (slot: string): Promise<string> => {
        const shown = JSON.parse(
          await spire.server('localauthority', 'x509', 'show', '-output', 'json'),
        ) as Record<string, { authority_id?: string }>;
        return shown[slot]?.authority_id ?? '';
      };
      const statuses: number[] = [];
      let isOver = false;
      const requests = (async () => {
        while (!isOver) statuses.push((await call()).status);
      })();
      const refreshed = async (count: number): Promise<void> => {
        await expect
          .poll(
            async () => {
              const { code, out } = await bank.onData(
                'federation',
                'refresh',
                'spire.example',
                '--json',
              );
              return code === EXIT.ok && JSON.parse(out).held.x509Authorities;
            },
            { timeout: 60_000, interval: 500 },
          )
          .toBe(count);
      };
      await spire.server('localauthority', 'x509', 'prepare');
      await refreshed(2);
      const old = await authorityOf('active');
      await spire.server(
        'localauthority',
        'x509',
        'activate',
        '-authorityID',
        await authorityOf('prepared'),
      );
      await spire.server('localauthority', 'x509', 'taint', '-authorityID', old);
      await expect
        .poll(async () => (await call()).serial, { timeout: 90_000, interval: 500 })
        .not.toBe(first.serial);
      await spire.server('localauthority', 'x509', 'revoke', '-authorityID', old);
      await refreshed(1);
      expect((await call()).status).toBe(200);
      isOver = true;
      await requests;
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(statuses.length).toBeGreaterThan(10);
      console.log(`${statuses.length} requests over a rotation of SPIRE's authority`);
    }, 240_000);

    test('our authority is rotated, and SPIRE follows: the next one before it issues, and the old one no more', async () => {
      const heldBySpire = async (): Promise<number> => {
        await spire.server('federation', 'refresh', '-id', 'bank.example');
        const shown = await spire.server(
          ...['bundle', 'list', '-id', 'spiffe://bank.example', '-format', 'spiffe'],
        );
        const { keys } = JSON.parse(shown);
        return keys.filter(({ use }: { use: string }) => use === 'x509-svid').length;
      };
      const comesToHold = (authorities: number) =>
        expect.poll(heldBySpire, { timeout: 30_000 }).toBe(authorities);
      const ca = async (...words: string[]): Promise<string> => {
        const { code, out, err } = await bank.onData('ca', ...words);
        if (code !== EXIT.ok) throw new Error(err);
        return out;
      };
      expect(await heldBySpire()).toBe(1);
      await ca('prepare', 'x509');
      await comesToHold(2);
      await ca('activate', 'x509');
      expect((await call()).status).toBe(200);
      const [, old = ''] = /^ {2}old +([0-9a-f]{40})/m.exec(await ca('show', 'x509')) ?? [];
      await ca('taint', 'x509', old, '--reason', 'a backup was found');
      // By now the endpoint shows an SVID that only the next authority vouches for.
      await comesToHold(1);
      await expect
        .poll(async () => (await partner.fetchX509Context()).bundles.get('bank.example')?.length, {
          timeout: 30_000,
        })
        .toBe(1);
      // SPIRE's workload believes the edge by the new authority alone, as soon as the edge has renewed.
      const status = () =>
        call().then(
          (answer) => answer.status,
          (error: Error) => error.message,
        );
      await expect.poll(status, { timeout: 30_000 }).toBe(200);
    }, 120_000);
  },
);
