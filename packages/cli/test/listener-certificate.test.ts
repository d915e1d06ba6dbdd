import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign } from './test-io.ts';
import { hasOpenssl, replaceFile, seenByOpenssl, webCa } from './web-ca.ts';

// An edge and an issuer that show certificates of a CA of the web's, to partners who know nothing of ours.

const AUDIENCE = 'https://api.bank.example/accounts';
const NAME = 'api.bank.example';

describe.skipIf(!hasOpenssl())('an edge and an issuer with certificates of their own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cs-web-'));
  const at = (name: string): string => join(folder, name);
  let web: ReturnType<typeof webCa>;
  let bank: Awaited<ReturnType<typeof startAuthorityAndEdge>>;
  let partner: { readonly cert: string; readonly key: string };
  const api = createServer((_, answer) => answer.end('[]'));

  beforeAll(async () => {
    web = webCa(folder);
    put('edge', web.issue([NAME]));
    put('issuer', web.issue(['localhost']));
    await once(api.listen(0, '127.0.0.1'), 'listening');
    bank = await startAuthorityAndEdge({ edit });
  }, 60_000);
  afterAll(async () => {
    await bank?.[Symbol.asyncDispose]();
    api.close();
    api.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  });

  function put(name: string, { chainPem, keyPem }: { chainPem: string; keyPem: string }): void {
    replaceFile(at(`${name}.pem`), chainPem);
    replaceFile(at(`${name}.key`), keyPem);
  }

  /** A partner with a certificate and a client, a surface that enforces, and the certificates. */
  async function edit(bankFolder: string): Promise<void> {
    const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const authority = await createPrivateAuthority({
      ...{ commonName: 'Partner CA', signer: softwareSigner(newKey()), now: Date.now },
    });
    const { publicKey, privateKey } = newKey();
    const { chain } = await authority.issueClientCertificate({
      ...{ commonName: 'example', publicKey, ttlSeconds: 3600 },
    });
    partner = {
      cert: encodePem(chain),
      key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    };
    await mkdir(join(bankFolder, 'trust'), { recursive: true });
    await writeFile(join(bankFolder, 'trust/example.pem'), partner.cert);
    await writeFile(join(bankFolder, 'trust/partner-ca.pem'), encodePem([authority.certificate]));
    const change = async (file: string, by: (text: string) => string): Promise<void> => {
      const path = join(bankFolder, file);
      await writeFile(path, by(await readFile(path, 'utf8')));
    };
    await change('identities/partners.yaml', (text) => text.replaceAll('  # ', '  '));
    await change('countersign.yaml', (text) =>
      text
        .replace(
          /# clientAuthorities.*\n/,
          `clientAuthorities: [trust/partner-ca.pem]\n        certificateFile: ${at('edge.pem')}\n        keyFile: ${at('edge.key')}\n`,
        )
        .replace(
          '  svidTtl',
          `  issuerCertificateFile: ${at('issuer.pem')}\n  issuerKeyFile: ${at('issuer.key')}\n  svidTtl`,
        ),
    );
    await change('surfaces/accounts.yaml', (text) =>
      text
        .replace('mode: shadow', 'mode: enforce')
        .replace('9001', `${(api.address() as AddressInfo).port}`),
    );
  }

  /** As a partner has it: its own certificate, the web's root, a host name. */
  const agent = (servername: string) =>
    new Agent({ connect: { ...partner, ca: web.rootPem, servername }, connections: 4 });

  async function token(): Promise<string> {
    const { body, statusCode } = await request(`${bank.issuerUrl}/token`, {
      dispatcher: agent('localhost'),
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `${new URLSearchParams({ grant_type: 'client_credentials', client_id: 'example', resource: AUDIENCE, scope: 'accounts' })}`,
    });
    const answer = (await body.json()) as { access_token: string };
    expect([statusCode, answer]).toMatchObject([200, { token_type: 'Bearer' }]);
    return answer.access_token;
  }

  const call = async (dispatcher: Agent, accessToken: string): Promise<number> => {
    const answer = await request(`https://127.0.0.1:${bank.edgePort}/accounts-api/accounts`, {
      dispatcher,
      headers: { authorization: `Bearer ${accessToken}` },
    });
    await answer.body.dump();
    return answer.statusCode;
  };

  const shownAt = async (port: number): Promise<string | undefined> => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const serial = socket.getPeerX509Certificate()?.serialNumber;
    socket.destroy();
    return serial;
  };
  const serialOf = (pem: string) =>
    web.openssl('x509', '-in', pem, '-noout', '-serial').trim().replace('serial=', '');
  const issuerPort = () => Number(new URL(bank.issuerUrl).port);
  const metric = async (url: string, name: string): Promise<number> => {
    const text = await (await fetch(url)).text();
    const line = text.split('\n').find((each) => each.startsWith(name)) ?? '';
    return Number(line.split(' ').at(-1));
  };
  const alarms = async () => {
    const { out } = await countersign([
      ...['find', '--action', 'listener-certificate', '--json', '-d', bank.data],
    ]);
    const { rows } = JSON.parse(out).answer;
    return rows.map(({ log, event }: { log: string; event: { detail: string } }) => [
      log,
      event.detail,
    ]);
  };

  test("OpenSSL's client verifies both by the web's root and a host name, over the intermediate that they send", async () => {
    for (const [port, name] of [
      [bank.edgePort, NAME],
      [issuerPort(), 'localhost'],
    ] as const) {
      const seen = await seenByOpenssl({ port, name, rootFile: web.rootFile });
      expect(seen.verified).toBe('0 (ok)');
      expect(seen.chain.map(({ subject }) => subject)).toEqual([
        'CN=leaf',
        'O=Web\nCN=intermediate',
      ]);
    }
    const otherName = { port: bank.edgePort, name: 'other.example', rootFile: web.rootFile };
    expect((await seenByOpenssl(otherName)).verified).toMatch(/mismatch/i);
  });

  test('a partner gets a token and calls, with nothing of ours but host names', async () => {
    expect(await call(agent(NAME), await token())).toBe(200);
  });

  test('which certificates are shown is in the record', async () => {
    const { out } = await countersign([
      ...['find', '--action', 'certificate-shown', '--json', '-d', bank.data],
    ]);
    const { rows } = JSON.parse(out).answer;
    expect(
      rows.map(({ log, event }: { log: string; event: { target: string } }) => [log, event.target]),
    ).toEqual(
      expect.arrayContaining([
        ['authority', 'authority.issuer'],
        ['edge', 'edge/partners'],
      ]),
    );
  });

  test('under load both are renewed, and no request fails', async () => {
    const access = await token();
    const kept = agent(NAME);
    const statuses: number[] = [];
    let isOver = false;
    const worker = async (dispatcher: () => Agent): Promise<void> => {
      while (!isOver) statuses.push(await call(dispatcher(), access));
    };
    const asking = async (): Promise<void> => {
      while (!isOver) await token();
    };
    const before = serialOf(at('edge.pem'));
    const running = Promise.all([
      ...Array.from({ length: 4 }, () => worker(() => kept)),
      worker(() => agent(NAME)),
      asking(),
    ]);
    const next = web.issue([NAME]);
    // One after the other, as most who renew do it.
    replaceFile(at('edge.pem'), next.chainPem);
    await new Promise((resolve) => setTimeout(resolve, 100));
    replaceFile(at('edge.key'), next.keyPem);
    put('issuer', web.issue(['localhost']));
    const shown = () => Promise.all([shownAt(bank.edgePort), shownAt(issuerPort())]);
    await expect
      .poll(shown, { timeout: 20_000 })
      .toEqual([serialOf(at('edge.pem')), serialOf(at('issuer.pem'))]);
    isOver = true;
    await running;
    expect(before).not.toBe(serialOf(at('edge.pem')));
    expect([...new Set(statuses)]).toEqual([200]);
    console.log(`${statuses.length} requests while both were renewed`);
    expect(await alarms()).toEqual([]);
  }, 60_000);

  test('a pair that does not fit is not taken: the one before is shown, and alarm, metric and status say so', async () => {
    const before = serialOf(at('edge.pem'));
    const failing = 'countersign_listener_certificate_failing{listener="edge/partners"}';
    expect(await metric(bank.edgeMetricsUrl, failing)).toBe(0);
    const { keyPem } = web.issue([NAME]);
    const [edgeKey, issuerKey] = await Promise.all(
      ['edge.key', 'issuer.key'].map((name) => readFile(at(name), 'utf8')),
    );
    replaceFile(at('edge.key'), keyPem);
    replaceFile(at('issuer.key'), keyPem);
    await expect.poll(() => metric(bank.edgeMetricsUrl, failing), { timeout: 20_000 }).toBe(1);
    await expect.poll(async () => (await alarms()).length, { timeout: 20_000 }).toBe(2);
    const words = (listener: string, name: string) =>
      expect.stringMatching(
        `^${listener}: ${at(`${name}.key`)} is not the key of the certificate in ${at(`${name}.pem`)}; the certificate before is shown on, which ends 20`,
      );
    expect(await alarms()).toEqual(
      expect.arrayContaining([
        ['edge', words('edge/partners', 'edge')],
        ['authority', words('authority.issuer', 'issuer')],
      ]),
    );
    const status = await countersign(['status', '-d', bank.data]);
    expect([status.code, status.out]).toEqual([
      1,
      expect.stringMatching(/authority\.issuer {2}until .*; TROUBLE: .*issuer\.key is not the key/),
    ]);
    expect(await shownAt(bank.edgePort)).toBe(before);
    expect(await call(agent(NAME), await token())).toBe(200);

    replaceFile(at('edge.key'), edgeKey ?? '');
    replaceFile(at('issuer.key'), issuerKey ?? '');
    await expect.poll(() => metric(bank.edgeMetricsUrl, failing), { timeout: 20_000 }).toBe(0);
    const until = 'countersign_listener_certificate_until_seconds{listener="edge/partners"}';
    const leftDays = ((await metric(bank.edgeMetricsUrl, until)) * 1000 - Date.now()) / 86_400_000;
    expect(Math.round(leftDays)).toBe(60);
  }, 60_000);

  test('cutting the partner off is seen at the edge, whose certificate is known from its own log', async () => {
    const words = ['partner', 'cut', 'example', '--reason', 'r', '--json', '-d', bank.data];
    const { code, out } = await countersign(words);
    expect([code, JSON.parse(out).probes]).toMatchObject([
      0,
      [
        {
          ...{ listener: 'edge/partners', outcome: 'refused' },
          ...{ before: { problem: 'route' }, after: { problem: 'authentication' } },
        },
      ],
    ]);
    await countersign(['partner', 'restore', 'example', '-d', bank.data]);
  });

  test('a point does not start without a pair that can be used, and says why in one line', async () => {
    const good = await readFile(at('edge.key'), 'utf8');
    const restarted = bank.restartEdge(async () => {
      replaceFile(at('edge.key'), web.issue([NAME]).keyPem);
    });
    await expect(restarted).rejects.toThrow(
      `cannot show a certificate at edge/partners: ${at('edge.key')} is not the key of the certificate in ${at('edge.pem')}`,
    );
    await bank.restartEdge(async () => replaceFile(at('edge.key'), good));
    expect(await shownAt(bank.edgePort)).toBe(serialOf(at('edge.pem')));
  }, 60_000);
});
