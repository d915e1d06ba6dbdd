import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type Bundle,
  type BundleEndpoint,
  bundleEndpoint,
  bundleEndpointTlsOptions,
  createBundleSet,
  createPrivateAuthority,
  encodeBundle,
  fetchBundle,
  followBundle,
  type PrivateAuthority,
  parseSpiffeId,
  type SpiffeError,
  softwareSigner,
  type TlsIdentity,
} from '@countersign/spiffe';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newIdentity, p256, pem } from './support.ts';
import { newRegistry, type Registry } from './workload.ts';

const ENDPOINT = parseSpiffeId('spiffe://partner.example/bundle-server');

let partner: Registry;
let web: PrivateAuthority;
let svid: TlsIdentity;
let webCertificate: TlsIdentity;
const open: { close(): unknown }[] = [];

beforeAll(async () => {
  web = await createPrivateAuthority({
    commonName: 'web',
    signer: softwareSigner(p256()),
    now: Date.now,
  });
  const keys = p256();
  const { chain } = await web.issueServerCertificate({
    dnsNames: ['localhost'],
    publicKey: keys.publicKey,
    ttlSeconds: 3600,
  });
  webCertificate = { chain, keyPem: pem(keys.privateKey) };
});

beforeEach(async () => {
  partner = await newRegistry({ trustDomain: 'partner.example' });
  svid = await newIdentity(partner.authority, ENDPOINT);
});

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(identity: TlsIdentity, listener?: Listener): Promise<string> {
  const server = createServer(
    bundleEndpointTlsOptions(identity),
    listener ?? bundleEndpoint({ bundle: () => partner.state.own }),
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return `https://localhost:${(server.address() as AddressInfo).port}/`;
}

const bySpiffe = (url: string, more: object = {}): BundleEndpoint => ({
  url,
  trustDomain: 'partner.example',
  profile: 'https_spiffe',
  endpointId: ENDPOINT.uri,
  ...more,
});
const byWeb = (url: string, more: object = {}): BundleEndpoint => ({
  url,
  trustDomain: 'partner.example',
  profile: 'https_web',
  webAuthorities: [web.certificate],
  ...more,
});

function fetching(endpoint: BundleEndpoint, known: readonly Bundle[] = [partner.state.own]) {
  return fetchBundle(endpoint, { bundles: createBundleSet(known).x509, now: Date.now });
}

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a bundle', () => {
  test('is had by either profile', async () => {
    const expected = encodeBundle(partner.state.own);
    expect(encodeBundle(await fetching(bySpiffe(await serve(svid))))).toBe(expected);
    expect(encodeBundle(await fetching(byWeb(await serve(webCertificate)), []))).toBe(expected);
  });

  test('by https_spiffe is of nobody but the endpoint that was named, verified by its own bundle', async () => {
    const url = await serve(svid);
    const cases: [BundleEndpoint, readonly Bundle[], string][] = [
      [
        bySpiffe(url, { endpointId: 'spiffe://partner.example/other' }),
        [partner.state.own],
        'ERR_SPIFFE_PEER_UNEXPECTED',
      ],
      [bySpiffe(url), [], 'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN'],
      [
        bySpiffe(url, { endpointId: 'spiffe://partner.example' }),
        [partner.state.own],
        'ERR_SPIFFE_BUNDLE_ENDPOINT',
      ],
      [bySpiffe(url, { endpointId: 'partner' }), [], 'ERR_SPIFFE_ID_INVALID'],
      // A certificate of the web does not do for an SVID, nor the other way.
      [bySpiffe(await serve(webCertificate)), [partner.state.own], 'ERR_SPIFFE_BUNDLE_UNAVAILABLE'],
      [byWeb(url), [partner.state.own], 'ERR_SPIFFE_BUNDLE_UNAVAILABLE'],
    ];
    for (const [endpoint, known, expected] of cases) {
      await expect(fetching(endpoint, known)).rejects.toThrow(code(expected));
    }
  });

  test('by https_web is of the host that was named, by an authority of the web', async () => {
    const url = await serve(webCertificate);
    await expect(fetching(byWeb(url.replace('localhost', '127.0.0.1')))).rejects.toThrow(
      code('ERR_SPIFFE_BUNDLE_UNAVAILABLE'),
    );
    const { webAuthorities: _, ...plain } = byWeb(url) as BundleEndpoint & {
      webAuthorities?: unknown;
    };
    await expect(fetching(plain)).rejects.toThrow(code('ERR_SPIFFE_BUNDLE_UNAVAILABLE'));
  });

  test.each([
    'http://localhost/',
    'https://a@localhost/',
    'https://a:b@localhost/',
    'localhost',
    '',
  ])('is not had from %s', async (url) => {
    for (const endpoint of [byWeb(url), bySpiffe(url)]) {
      await expect(fetching(endpoint)).rejects.toThrow(code('ERR_SPIFFE_BUNDLE_ENDPOINT'));
    }
  });

  const answers: [string, Listener, string][] = [
    [
      'another status',
      (_, response) => response.writeHead(500).end('{"keys":[]}'),
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    ['no JSON', (_, response) => response.end('<html>'), 'ERR_SPIFFE_BUNDLE_INVALID'],
    [
      'no UTF-8',
      (_, response) => response.end(Buffer.from('{"keys":[],"x":"\xff"}', 'latin1')),
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    [
      'more than 2 MB',
      (_, response) => response.end(`{"keys":[]${' '.repeat(2_000_000)}}`),
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    [
      'no end',
      (_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write(' '.repeat(100_000)), 1);
        response.once('close', () => clearInterval(timer));
      },
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    [
      'half of it',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{"keys":', () => response.destroy());
      },
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    [
      'a redirect to plain HTTP',
      (_, response) => response.writeHead(302, { location: 'http://localhost/' }).end(),
      'ERR_SPIFFE_BUNDLE_ENDPOINT',
    ],
    [
      'a redirect with a user',
      (_, response) => response.writeHead(302, { location: 'https://a@localhost/' }).end(),
      'ERR_SPIFFE_BUNDLE_ENDPOINT',
    ],
    [
      'a redirect to nowhere',
      (_, response) => response.writeHead(302).end(),
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
    [
      'redirects without end',
      (_, response) => response.writeHead(307, { location: '/' }).end(),
      'ERR_SPIFFE_BUNDLE_UNAVAILABLE',
    ],
  ];
  test.each(answers)('is not had of %s', async (_, listener, expected) => {
    const url = await serve(svid, listener);
    await expect(fetching(bySpiffe(url))).rejects.toThrow(code(expected));
  });

  test('is had after three redirects, each to the same SPIFFE ID; to another, nothing is', async () => {
    const last = await serve(svid);
    let target = last;
    for (let count = 0; count < 3; count += 1) {
      const location = target;
      target = await serve(svid, (_, response) => response.writeHead(302, { location }).end());
    }
    expect((await fetching(bySpiffe(target))).sequence).toBe(1);
    const other = await newIdentity(
      partner.authority,
      parseSpiffeId('spiffe://partner.example/other'),
    );
    const elsewhere = await serve(other);
    const leading = await serve(svid, (_, response) =>
      response.writeHead(302, { location: elsewhere }).end(),
    );
    await expect(fetching(bySpiffe(leading))).rejects.toThrow(code('ERR_SPIFFE_PEER_UNEXPECTED'));
  });
});

describe('an endpoint', () => {
  test('serves GET at its path, asks for no client certificate, and lets nothing be cached', async () => {
    const path = '/bundle.json';
    const url = await serve(
      webCertificate,
      bundleEndpoint({ bundle: () => partner.state.own, path }),
    );
    const { request, Agent } = await import('undici');
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    open.push({ close: () => dispatcher.destroy() });
    const ask = (method: 'GET' | 'HEAD' | 'POST', at: string) =>
      request(new URL(at, url), { method, dispatcher });
    const answer = await ask('GET', `${path}?x`);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    expect(await answer.body.text()).toBe(encodeBundle(partner.state.own));
    expect((await ask('HEAD', path)).statusCode).toBe(200);
    expect((await ask('GET', '/')).statusCode).toBe(404);
    const post = await ask('POST', path);
    expect([post.statusCode, post.headers['allow']]).toEqual([405, 'GET, HEAD']);
  });
});

describe('a bundle that is followed', () => {
  /** Follows until `steps` waits are over; each step is what happens during one. */
  async function follow(endpoint: BundleEndpoint, steps: readonly (() => unknown)[]) {
    const bundles = createBundleSet([partner.state.own]);
    const stop = new AbortController();
    const waits: number[] = [];
    const errors: SpiffeError[] = [];
    const updates: number[] = [];
    await followBundle(endpoint, {
      bundles,
      now: Date.now,
      onUpdate: ({ sequence }) => updates.push(sequence),
      onError: (error) => errors.push(error),
      signal: stop.signal,
      wait: async (ms) => {
        const step = steps[waits.length];
        waits.push(ms);
        if (step) await step();
        else stop.abort();
      },
    });
    return { bundles, waits, updates, errors: errors.map((error) => error.code) };
  }

  const edit = (change: Partial<Bundle>) => () => {
    partner.state.own = { ...partner.state.own, ...change };
  };

  test('is asked for at each refresh hint, between ten seconds and a day', async () => {
    const url = await serve(svid);
    const { waits, updates } = await follow(bySpiffe(url), [
      edit({ sequence: 2, refreshHintSeconds: 1 }),
      edit({ sequence: 3, refreshHintSeconds: 1_000_000 }),
      edit({ sequence: 4, refreshHintSeconds: 0 }),
      () => undefined,
    ]);
    expect(waits).toEqual([60_000, 10_000, 86_400_000, 300_000, 300_000]);
    expect(updates).toEqual([2, 3, 4]);
  });

  test('stays in force while its endpoint is away or sends an older one', async () => {
    let listener = bundleEndpoint({ bundle: () => partner.state.own });
    const good = listener;
    const url = await serve(svid, (asked, response) => listener(asked, response));
    const { waits, updates, errors, bundles } = await follow(bySpiffe(url), [
      edit({ sequence: 5 }),
      () => {
        listener = (_, response) => response.writeHead(503).end();
      },
      () => {
        listener = good;
        edit({ sequence: 4 })();
      },
      edit({ sequence: 6, x509Authorities: [...partner.state.own.x509Authorities] }),
    ]);
    expect(errors).toEqual(['ERR_SPIFFE_BUNDLE_UNAVAILABLE', 'ERR_SPIFFE_BUNDLE_INVALID']);
    expect(updates).toEqual([5, 6]);
    expect(new Set(waits)).toEqual(new Set([60_000]));
    expect(bundles.get('partner.example')?.sequence).toBe(6);
  });

  test('lets its endpoint rotate: the next SVID is verified by the bundle before', async () => {
    const next = await newRegistry({ trustDomain: 'partner.example' });
    const nextSvid = await newIdentity(next.authority, ENDPOINT);
    const listener = bundleEndpoint({ bundle: () => partner.state.own });
    const server = createServer(bundleEndpointTlsOptions(svid), listener);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    const both = [partner.authority.certificate, next.authority.certificate];
    const { errors, updates } = await follow(bySpiffe(url), [
      edit({ sequence: 2, x509Authorities: both }),
      () => {
        server.setSecureContext(bundleEndpointTlsOptions(nextSvid));
        edit({ sequence: 3, x509Authorities: [next.authority.certificate] })();
      },
      edit({ sequence: 4 }),
    ]);
    expect(errors).toEqual([]);
    expect(updates).toEqual([2, 3, 4]);
  });

  test('that is empty revokes everything', async () => {
    const url = await serve(webCertificate);
    const { bundles } = await follow(byWeb(url), [edit({ sequence: 2, x509Authorities: [] })]);
    expect(bundles.x509.get('partner.example')).toEqual([]);
  });

  test('is not followed where it is configured wrongly', async () => {
    for (const endpoint of [
      byWeb('http://localhost/'),
      byWeb('https://localhost/', { trustDomain: 'a/b' }),
      bySpiffe('https://localhost/', { endpointId: 'x' }),
    ]) {
      await expect(follow(endpoint, [])).rejects.toThrow(
        expect.objectContaining({
          code: expect.stringMatching(/^ERR_SPIFFE_(ID_INVALID|BUNDLE_ENDPOINT)$/),
        }),
      );
    }
  });
});
