import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics } from '@countersign/audit';
import { endWithCertificate, listenerCertificates } from '@countersign/cli';
import { renewServerTls, serverTlsOptions } from '@countersign/spiffe';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hasOpenssl, replaceFile, webCa } from './web-ca.ts';

// The one place where certificates of listeners are read, for edges, issuer, signals and bundle endpoints.

const DAY_MS = 86_400_000;

describe.skipIf(!hasOpenssl())("a listener's certificate and key", () => {
  const folder = mkdtempSync(join(tmpdir(), 'cs-pair-'));
  const files = { certificateFile: join(folder, 'a.pem'), keyFile: join(folder, 'a.key') };
  let web: ReturnType<typeof webCa>;
  let pair: { readonly chainPem: string; readonly keyPem: string };
  let nowMs: number;
  let alarms: string[];
  let shown: string[];
  let certificates: ReturnType<typeof listenerCertificates>;

  beforeAll(() => {
    web = webCa(folder);
    pair = web.issue(['a.example'], 60);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(() => {
    [alarms, shown] = [[], []];
    nowMs = Date.now();
    replaceFile(files.certificateFile, pair.chainPem);
    replaceFile(files.keyFile, pair.keyPem);
    certificates = listenerCertificates({
      ...{ metrics: createMetrics(), now: () => nowMs, lookEveryMs: 10 },
      alarm: (_, detail) => alarms.push(detail),
      record: (_, { target, detail }) => shown.push(`${target} ${detail.sha256}`),
    });
  });
  afterEach(() => certificates.close());
  const open = () => certificates.open('edge/partners', files);
  const trouble = () => certificates.status()[0]?.trouble;

  test.each<[string, () => unknown, string]>([
    [
      'a certificate that is not there',
      () => rmSync(files.certificateFile),
      `cannot read ${files.certificateFile}: ENOENT`,
    ],
    [
      'a key of another certificate',
      () => writeFileSync(files.keyFile, web.issue(['a.example']).keyPem),
      `${files.keyFile} is not the key of the certificate in ${files.certificateFile}`,
    ],
    [
      'a chain that does not begin with the leaf',
      () =>
        writeFileSync(
          files.certificateFile,
          pair.chainPem
            .split(/(?<=-\n)(?=-)/)
            .reverse()
            .join(''),
        ),
      `${files.keyFile} is the key of certificate 2 in ${files.certificateFile}, expected that one to be the first`,
    ],
    [
      'no certificate in the file',
      () => writeFileSync(files.certificateFile, pair.keyPem),
      `${files.certificateFile} holds no certificate, expected a chain in PEM, leaf first`,
    ],
    [
      'a certificate that is damaged',
      () =>
        writeFileSync(
          files.certificateFile,
          '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        ),
      `certificate 1 in ${files.certificateFile} cannot be read`,
    ],
    [
      'no key in the file',
      () => writeFileSync(files.keyFile, pair.chainPem),
      `${files.keyFile} holds no private key that can be read, expected one in PEM`,
    ],
    [
      'a key that needs a passphrase',
      () =>
        writeFileSync(
          files.keyFile,
          createPrivateKey(pair.keyPem).export({
            ...{ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'a' },
          }),
        ),
      `${files.keyFile} is encrypted, expected a private key in PEM without a passphrase`,
    ],
    [
      'a file that is too long',
      () => writeFileSync(files.keyFile, 'x'.repeat(1024 * 1024 + 1)),
      `${files.keyFile} has 1048577 bytes, expected at most 1048576`,
    ],
    [
      'a certificate that is over',
      () => {
        nowMs += 61 * DAY_MS;
      },
      `${files.certificateFile} ended 20`,
    ],
    [
      'a certificate that has not begun',
      () => {
        nowMs -= DAY_MS;
      },
      `${files.certificateFile} begins 20`,
    ],
  ])('%s is told of at the start, and nothing is shown', async (_what, breaks, says) => {
    breaks();
    await expect(open()).rejects.toThrow(`cannot show a certificate at edge/partners: ${says}`);
    expect([certificates.status(), shown]).toEqual([[], []]);
  });

  test('one that is over is not taken in the place of one that is not', async () => {
    const held = await open();
    const before = held.thumbprint();
    const short = web.issue(['a.example'], 1);
    nowMs += 2 * DAY_MS;
    replaceFile(files.certificateFile, short.chainPem);
    replaceFile(files.keyFile, short.keyPem);
    await expect
      .poll(trouble)
      .toMatch(/ended 20.*the certificate before is shown on, which ends 20/);
    expect(held.thumbprint()).toBe(before);
    expect(alarms).toHaveLength(1);
  });

  test('what nobody renews is told of a week, a day before its end and after it, once each', async () => {
    const held = await open();
    for (const [leftDays, words] of [
      [6.5, 'in less than 7 days'],
      [0.5, 'in less than a day'],
      [-0.5, /a\.pem ended 20\S+; expected another in its place/],
    ] as const) {
      nowMs = held.notAfterMs() - leftDays * DAY_MS;
      await expect.poll(trouble).toMatch(words);
    }
    expect(alarms).toHaveLength(3);
    const next = web.issue(['a.example'], 90);
    replaceFile(files.certificateFile, next.chainPem);
    replaceFile(files.keyFile, next.keyPem);
    await expect.poll(trouble).toBeUndefined();
    expect(shown).toEqual([
      expect.stringMatching(/^edge\/partners \S{43}$/),
      `edge/partners ${held.thumbprint()}`,
    ]);
  });

  test('at the issuer, signals and SCIM a connection takes its last request when the certificate that it began with is over', async () => {
    const held = await open();
    const tls = { svid: held.current, clientCertificates: 'request' as const };
    const server = createServer(serverTlsOptions(tls), (_, answer) => answer.end('here'));
    endWithCertificate(server, { now: () => nowMs });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    const ask = async (): Promise<readonly [IncomingMessage, number | undefined]> => {
      const asked = request({ host: '127.0.0.1', port, agent }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      const { localPort } = answer.socket;
      await once(answer.resume(), 'end');
      return [answer, localPort];
    };
    try {
      const endMs = held.notAfterMs();
      const [, began] = await ask();
      const next = web.issue(['a.example'], 90);
      nowMs = Date.now(); // the new one begins now, by OpenSSL's clock
      replaceFile(files.certificateFile, next.chainPem);
      replaceFile(files.keyFile, next.keyPem);
      await expect.poll(() => held.notAfterMs()).toBeGreaterThan(endMs);
      renewServerTls(server, tls);
      nowMs = endMs;
      const [kept, keptPort] = await ask();
      expect([kept.headers.connection, keptPort]).toEqual(['keep-alive', began]);
      nowMs = endMs + 1;
      const [last, lastPort] = await ask();
      expect([last.statusCode, last.headers.connection, lastPort]).toEqual([200, 'close', began]);
      const [young, youngPort] = await ask();
      expect(young.headers.connection).toBe('keep-alive');
      expect(youngPort).not.toBe(began);
    } finally {
      agent.destroy();
      server.close();
    }
  });

  test('one with more than a week left is no trouble', async () => {
    const held = await open();
    nowMs = held.notAfterMs() - 7 * DAY_MS - 60_000;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([trouble(), alarms]).toEqual([undefined, []]);
  });
});
