import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createServer as createHttpsServer, get, Agent as HttpsAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createServer,
  type Server,
  type TLSSocket,
} from 'node:tls';
import {
  clientTlsOptions,
  encodePem,
  peerChain,
  renewServerTls,
  type SpiffeError,
  serverTlsOptions,
  softwareSigner,
  type TlsIdentity,
  type VerifiedPeer,
  verifyPeers,
  verifyX509Svid,
  type X509Authority,
} from '@countersign/spiffe';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CLIENT_AUTH,
  type Craft,
  type Crafted,
  commonName,
  craft,
  EMPTY_NAME,
  SERVER_AUTH,
  x,
} from './craft-certificate.ts';
import {
  API,
  hasOpenssl,
  LEDGER,
  newAuthority,
  newIdentity,
  OPENSSL,
  p256,
  pem,
  TRUST_DOMAIN,
} from './support.ts';

let authority: X509Authority;
let ledger: TlsIdentity;
let api: TlsIdentity;
/** A root whose key the tests hold, so that it issues what no authority of ours would. */
let root: Crafted;
let partner: Crafted;
const open: { close(): void }[] = [];

beforeAll(async () => {
  const keys = p256();
  authority = await newAuthority({ signer: softwareSigner(keys) });
  ledger = await newIdentity(authority, LEDGER);
  api = await newIdentity(authority, API);
  root = craft({ extensions: [x.ca, x.certSign] });
  partner = craft({ name: commonName('partner'), extensions: [x.ca, x.certSign] });
});

afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** What one server made of one client. */
interface Seen {
  readonly peer: VerifiedPeer | undefined;
  readonly refusal: string | undefined;
}

/** Serves with our options and reports what it made of each client; a client that is let in is told `in`. */
async function serve({
  identity = ledger,
  clientCertificates = 'require' as 'request' | 'require',
  now = Date.now,
  clientAuthorities = [] as Uint8Array[],
} = {}) {
  const server = createServer(
    serverTlsOptions({ svid: () => identity, clientCertificates, clientAuthorities }),
  );
  const bundles = new Map([
    [TRUST_DOMAIN, [authority.certificate, root.der]],
    ['partner.example', [partner.der]],
  ]);
  const seen: Seen[] = [];
  const refusals: { code: string; chainLength: number }[] = [];
  const peers = verifyPeers(server, {
    clientCertificates,
    verify: (chain) => verifyX509Svid(chain, { bundles, now }),
    onRefused: (error, socket) => {
      refusals.push({ code: error.code, chainLength: peerChain(socket).length });
      seen.push({ peer: undefined, refusal: error.code });
    },
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    if (socket.destroyed) return;
    seen.push({ peer: peers.of(socket), refusal: undefined });
    socket.end('in');
  });
  server.on('tlsClientError', () => undefined);
  return { server, port: await listen(server), seen, refusals };
}

async function call(
  port: number,
  options: ConnectionOptions,
): Promise<{ text: string; socket: TLSSocket }> {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  open.push({ close: () => socket.destroy() });
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await closing(socket);
  return { text, socket };
}

/** Resolves when the socket has closed, with an error or without. */
function closing(socket: TLSSocket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** What a server with Node's own verification would have done, all authorities in one pot as `ca` wants it. */
async function plainNodeAccepts(crafted: readonly Crafted[]): Promise<boolean> {
  const server = createServer({
    cert: encodePem(ledger.chain),
    key: ledger.keyPem,
    requestCert: true,
    rejectUnauthorized: true,
    ca: [root, partner].map(({ der }) => encodePem([der])),
  });
  let isAccepted = false;
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => {
    isAccepted = true;
    socket.end('in');
  });
  await call(await listen(server), clientWith(crafted));
  return isAccepted;
}

/** A client that trusts whoever answers: these tests are about what the server thinks. */
function clientWith(crafted: readonly Crafted[]): ConnectionOptions {
  const [leaf] = crafted;
  return {
    rejectUnauthorized: false,
    ...(leaf ? { cert: encodePem(crafted.map(({ der }) => der)), key: pem(leaf.privateKey) } : {}),
  };
}

function toLedger(more: Partial<Parameters<typeof clientTlsOptions>[0]> = {}) {
  return clientTlsOptions({
    svid: api,
    expect: LEDGER.uri,
    authorities: [authority.certificate],
    now: Date.now,
    ...more,
  } as Parameters<typeof clientTlsOptions>[0]);
}

describe('a server', () => {
  const BOTH = x.usages(SERVER_AUTH, CLIENT_AUTH);
  const name = x.uris([API.uri]);
  const good = [x.notCa, x.digitalSignature, BOTH, name];
  const leaf = (more: Partial<Craft> = {}, issuer = root) =>
    craft({ issuer, name: EMPTY_NAME, extensions: good, ...more });

  // What plain Node says of each is the reason for this room: facts found with Node 24.
  const cases: [string, () => Crafted[], string | undefined, boolean][] = [
    ['an SVID', () => [leaf()], undefined, true],
    [
      'an SVID through an intermediate',
      () => {
        const intermediate = craft({ issuer: root, extensions: [x.caPath(0), x.certSign] });
        return [leaf({}, intermediate), intermediate];
      },
      undefined,
      true,
    ],
    [
      'a leaf with CA:TRUE',
      () => [leaf({ extensions: [x.ca, x.keyUsage('03020284'), BOTH, name] })],
      'ERR_SPIFFE_LEAF_IS_AUTHORITY',
      true,
    ],
    [
      'a leaf with keyCertSign',
      () => [leaf({ extensions: [x.notCa, x.keyUsage('03020284'), BOTH, name] })],
      'ERR_SPIFFE_KEY_USAGE',
      true,
    ],
    [
      'two URIs',
      () => [
        leaf({ extensions: [x.notCa, x.digitalSignature, BOTH, x.uris([API.uri, LEDGER.uri])] }),
      ],
      'ERR_SPIFFE_URI_SAN',
      true,
    ],
    [
      'no URI',
      () => [leaf({ name: commonName('api'), extensions: [x.notCa, x.digitalSignature, BOTH] })],
      'ERR_SPIFFE_URI_SAN',
      true,
    ],
    [
      "a partner's authority that names our admin",
      () => [
        leaf(
          {
            extensions: [
              x.notCa,
              x.digitalSignature,
              BOTH,
              x.uris([`spiffe://${TRUST_DOMAIN}/admin`]),
            ],
          },
          partner,
        ),
      ],
      'ERR_SPIFFE_UNTRUSTED',
      true,
    ],
    [
      'a trust domain that nobody knows',
      () => [
        leaf({
          extensions: [x.notCa, x.digitalSignature, BOTH, x.uris(['spiffe://foreign.example/api'])],
        }),
      ],
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      true,
    ],
    [
      'an expired SVID',
      () => [leaf({ notAfterMs: Date.now() - 1000 })],
      'ERR_SPIFFE_EXPIRED',
      false,
    ],
    [
      'a self-signed leaf',
      () => [craft({ name: EMPTY_NAME, extensions: good })],
      'ERR_SPIFFE_UNTRUSTED',
      false,
    ],
    ['no certificate', () => [], 'ERR_SPIFFE_NO_CERTIFICATE', false],
    ...(
      [
        ['no key usage', [x.notCa, BOTH, name], 'ERR_SPIFFE_KEY_USAGE', true],
        [
          'a key usage that is not critical',
          [x.notCa, x.keyUsage('03020780', false), BOTH, name],
          'ERR_SPIFFE_KEY_USAGE',
          true,
        ],
        [
          'a leaf with cRLSign',
          [x.notCa, x.keyUsage('03020182'), BOTH, name],
          'ERR_SPIFFE_KEY_USAGE',
          true,
        ],
        [
          'clientAuth alone',
          [x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH), name],
          'ERR_SPIFFE_EXTENDED_KEY_USAGE',
          true,
        ],
        [
          'serverAuth alone',
          [x.notCa, x.digitalSignature, x.usages(SERVER_AUTH), name],
          'ERR_SPIFFE_EXTENDED_KEY_USAGE',
          false,
        ],
        ...(
          [
            ['another scheme', 'https://bank.example/workload/payments/api'],
            ['the trust domain itself', `spiffe://${TRUST_DOMAIN}`],
            ['a slash at the end', `${API.uri}/`],
            ['a dot segment', `spiffe://${TRUST_DOMAIN}/workload/../admin`],
            ['an encoded slash', `spiffe://${TRUST_DOMAIN}/workload%2Fadmin`],
            ['a query', `${API.uri}?admin`],
            ['a port', `spiffe://${TRUST_DOMAIN}:443/admin`],
            ['a user', `spiffe://admin@${TRUST_DOMAIN}/api`],
            ['upper case', `SPIFFE://${TRUST_DOMAIN}/admin`],
            ['2,049 bytes', `spiffe://${TRUST_DOMAIN}/`.padEnd(2049, 'a')],
          ] as const
        ).map(
          ([what, uri]) =>
            [
              `an ID with ${what}`,
              [x.notCa, x.digitalSignature, BOTH, x.uris([uri])],
              'ERR_SPIFFE_URI_SAN',
              true,
            ] as const,
        ),
        [
          'a name that is not critical beside an empty subject',
          [x.notCa, x.digitalSignature, BOTH, x.uris([API.uri], false)],
          'ERR_SPIFFE_URI_SAN',
          true,
        ],
        [
          'an ID with a NUL',
          [x.notCa, x.digitalSignature, BOTH, x.uris([`${API.uri}\0.partner.example`])],
          'ERR_SPIFFE_CERTIFICATE_MALFORMED',
          true,
        ],
      ] as const
    ).map(
      ([what, extensions, refusal, isAcceptedByNode]) =>
        [what, () => [leaf({ extensions })], refusal, isAcceptedByNode] as (typeof cases)[number],
    ),
    [
      "an intermediate with a workload's ID",
      () => {
        const intermediate = craft({
          issuer: root,
          extensions: [x.caPath(0), x.certSign, x.uris([LEDGER.uri])],
        });
        return [leaf({}, intermediate), intermediate];
      },
      'ERR_SPIFFE_AUTHORITY_INVALID',
      true,
    ],
    [
      'a leaf that a leaf issued',
      () => {
        const issuer = leaf({ name: commonName('api') });
        return [leaf({}, issuer), issuer];
      },
      // Node does not link it to an issuer that is none.
      'ERR_SPIFFE_UNTRUSTED',
      false,
    ],
  ];
  test.each(cases)('shown %s', async (_, make, refusal, isAcceptedByNode) => {
    const shown = make();
    const { port, seen } = await serve();
    const { text } = await call(port, clientWith(shown));
    expect(seen).toHaveLength(1);
    expect(seen[0]?.refusal).toBe(refusal);
    expect(await plainNodeAccepts(shown)).toBe(isAcceptedByNode);
    expect(seen[0]?.peer?.spiffeId).toEqual(refusal ? undefined : API);
    expect(text).toBe(refusal ? '' : 'in');
  });

  test('hears an intermediate with and without naming its authorities, and Node has no say in it', async () => {
    const intermediate = craft({ issuer: root, extensions: [x.caPath(0), x.certSign] });
    for (const clientAuthorities of [[], [root.der], [partner.der], [root.der, partner.der]]) {
      const { server, port, seen } = await serve({ clientAuthorities });
      const verdicts: boolean[] = [];
      server.on('secureConnection', (socket) => verdicts.push(socket.authorized));
      await call(port, clientWith([leaf({}, intermediate), intermediate]));
      await call(port, clientWith([leaf()]));
      expect(seen.map(({ peer }) => peer?.spiffeId)).toEqual([API, API]);
      expect(verdicts).toEqual([false, false]);
    }
  });

  test('that only requests certificates serves a client without, and refuses a bad one', async () => {
    const { port, seen } = await serve({ clientCertificates: 'request' });
    expect((await call(port, clientWith([]))).text).toBe('in');
    expect((await call(port, clientWith([leaf({ extensions: [x.ca, name] })]))).text).toBe('');
    expect(seen).toMatchObject([
      { peer: undefined, refusal: undefined },
      { refusal: 'ERR_SPIFFE_LEAF_IS_AUTHORITY' },
    ]);
  });

  test('ends the connection also when its verifier is broken, and hides nothing', () => {
    const emitter = new EventEmitter();
    const broken = new TypeError('no bundles');
    const peers = verifyPeers(emitter as unknown as Server, {
      clientCertificates: 'require',
      verify: () => {
        throw broken;
      },
    });
    let isDestroyed = false;
    const socket = {
      getPeerCertificate: () => ({ raw: Buffer.from('x'), fingerprint512: 'x' }),
      destroy: () => {
        isDestroyed = true;
      },
    };
    expect(() => emitter.emit('secureConnection', socket)).toThrow(broken);
    expect(isDestroyed).toBe(true);
    expect(peers.of(socket)).toBeUndefined();
  });

  test('sees the whole chain when it is told of a refusal', async () => {
    const { port, refusals } = await serve();
    const intermediate = craft({ extensions: [x.ca, x.certSign] });
    await call(port, clientWith([leaf({}, intermediate), intermediate]));
    await call(port, clientWith([craft({ name: commonName('self'), extensions: good })]));
    await call(port, clientWith([]));
    expect(refusals).toEqual([
      { code: 'ERR_SPIFFE_UNTRUSTED', chainLength: 2 },
      { code: 'ERR_SPIFFE_UNTRUSTED', chainLength: 1 },
      { code: 'ERR_SPIFFE_NO_CERTIFICATE', chainLength: 0 },
    ]);
  });

  test('speaks TLS 1.3 and nothing older', async () => {
    const { port } = await serve();
    const { socket } = await call(port, { ...clientWith([leaf()]), maxVersion: 'TLSv1.2' });
    expect(socket.getProtocol()).toBeNull();
    const modern = connect({ port, host: '127.0.0.1', ...clientWith([leaf()]) });
    open.push({ close: () => modern.destroy() });
    await once(modern, 'secureConnect');
    expect(modern.getProtocol()).toBe('TLSv1.3');
  });

  test('agrees on a protocol by ALPN', async () => {
    const server = createServer(
      serverTlsOptions({ svid: () => ledger, clientCertificates: 'request', alpn: ['http/1.1'] }),
    );
    server.on('secureConnection', (socket) => socket.end());
    const port = await listen(server);
    const socket = connect({ port, host: '127.0.0.1', ...toLedger({ alpn: ['h2', 'http/1.1'] }) });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });

  test.skipIf(!hasOpenssl)('names the authorities whose certificates it takes', async () => {
    const { port } = await serve({ clientAuthorities: [partner.der] });
    const client = spawn(OPENSSL, ['s_client', '-connect', `127.0.0.1:${port}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    client.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    await once(client, 'close');
    expect(text).toContain('Acceptable client certificate CA names\nCN = partner\n');
    expect(text).toContain('TLSv1.3');
  });

  test('renewed in place shows the new certificate to new connections, and open ones go on', async () => {
    let identity = ledger;
    const tls = { svid: () => identity, clientCertificates: 'require' as const };
    const server = createServer(serverTlsOptions(tls));
    server.on('secureConnection', (socket) => socket.pipe(socket));
    const port = await listen(server);
    const serials: string[] = [];
    const dial = async () => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        ...toLedger({ onPeer: ({ serialHex }: VerifiedPeer) => serials.push(serialHex) }),
      });
      open.push({ close: () => socket.destroy() });
      await once(socket, 'secureConnect');
      return socket.setEncoding('utf8');
    };
    const before = await dial();
    identity = await newIdentity(authority, LEDGER);
    renewServerTls(server, tls);
    const after = await dial();
    expect(new Set(serials).size).toBe(2);
    expect(after.getProtocol()).toBe('TLSv1.3');
    for (const socket of [before, after]) {
      socket.write('echo');
      expect(await once(socket, 'data')).toEqual(['echo']);
    }
    // Options that the first context had still hold in the second.
    const old = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion: 'TLSv1.2',
    });
    await expect(once(old, 'secureConnect')).rejects.toThrow();
  });

  test('verifies before an HTTP server reads, and the handler is not called for a refused client', async () => {
    const server = createHttpsServer(
      serverTlsOptions({ svid: () => ledger, clientCertificates: 'require' }),
    );
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    const refusals: SpiffeError[] = [];
    const peers = verifyPeers(server, {
      clientCertificates: 'require',
      verify: (chain) => verifyX509Svid(chain, { bundles, now: Date.now }),
      onRefused: (error) => refusals.push(error),
    });
    const handled: (string | undefined)[] = [];
    server.on('request', (request, response) => {
      handled.push(peers.of(request.socket)?.spiffeId.uri);
      response.end('ok');
    });
    const port = await listen(server);
    const fetchAs = (options: ConnectionOptions) =>
      new Promise<number | undefined>((resolve) => {
        const agent = new HttpsAgent(options as object);
        get({ port, host: '127.0.0.1', agent }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', () => resolve(undefined));
      });
    expect(await fetchAs(toLedger())).toBe(200);
    expect(await fetchAs({ rejectUnauthorized: false })).toBeUndefined();
    expect(handled).toEqual([API.uri]);
    expect(refusals).toMatchObject([{ code: 'ERR_SPIFFE_NO_CERTIFICATE' }]);
  });
});

describe('resumption', () => {
  /** Connects, waits for a session to keep (or the end), and gives it with the socket's answer. */
  async function dial(port: number, options: ConnectionOptions, session?: Buffer) {
    const socket = connect({
      port,
      host: '127.0.0.1',
      ...options,
      ...(session ? { session } : {}),
    });
    open.push({ close: () => socket.destroy() });
    let kept: Buffer | undefined;
    let text = '';
    socket.on('session', (next) => {
      kept = next;
    });
    let isReused: boolean | undefined;
    socket.once('secureConnect', () => {
      isReused = socket.isSessionReused();
    });
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    await closing(socket);
    return { kept, text, isReused };
  }

  function shortLived(): ConnectionOptions {
    const leaf = craft({
      issuer: root,
      name: EMPTY_NAME,
      extensions: [x.notCa, x.digitalSignature, x.uris([API.uri])],
    });
    return clientWith([leaf]);
  }

  test('is possible in plain Node, and then a certificate is not looked at again', async () => {
    let shown = 0;
    const server = createServer({
      cert: encodePem(ledger.chain),
      key: ledger.keyPem,
      requestCert: true,
      ca: encodePem([root.der]),
    });
    server.on('secureConnection', (socket) => {
      shown += 1;
      socket.end('in');
    });
    const port = await listen(server);
    const client = shortLived();
    const first = await dial(port, client);
    const { cert: _cert, key: _key, ...without } = client;
    const second = await dial(port, without, first.kept);
    expect(second).toMatchObject({ text: 'in', isReused: true });
    expect(shown).toBe(2);
  });

  test('never happens with our server, even for a client that keeps sessions', async () => {
    const { port, seen } = await serve();
    const client = shortLived();
    const first = await dial(port, client);
    expect(first.text).toBe('in');
    const second = await dial(port, client, first.kept);
    expect(second).toMatchObject({ text: 'in', isReused: false });
    expect(seen).toHaveLength(2);
  });

  test('brings no expired certificate back', async () => {
    let now = Date.now();
    const { port, seen } = await serve({ now: () => now });
    const client = shortLived();
    const first = await dial(port, client);
    now += 3_700_000;
    const second = await dial(port, client, first.kept);
    expect(second).toMatchObject({ text: '', isReused: false });
    expect(seen).toMatchObject([{ refusal: undefined }, { refusal: 'ERR_SPIFFE_EXPIRED' }]);
    const { cert: _cert, key: _key, ...without } = client;
    expect((await dial(port, without, first.kept)).text).toBe('');
    expect(seen[2]).toMatchObject({ refusal: 'ERR_SPIFFE_NO_CERTIFICATE' });
  });

  test('is not there either after the certificate was renewed in place', async () => {
    const { server, port } = await serve();
    renewServerTls(server, { svid: () => ledger, clientCertificates: 'require' });
    const client = shortLived();
    const first = await dial(port, client);
    expect((await dial(port, client, first.kept)).isReused).toBe(false);
  });
});

describe('a client', () => {
  /** A server that counts what reaches it. */
  async function listening(identity: TlsIdentity) {
    const received: number[] = [];
    const server = createServer(
      serverTlsOptions({ svid: () => identity, clientCertificates: 'request' }),
    );
    let ended: () => void = () => undefined;
    server.on('connection', (socket) => socket.once('close', () => ended()));
    server.on('secureConnection', (socket) => {
      socket.on('data', (chunk) => received.push(chunk.length)).on('error', () => undefined);
    });
    server.on('tlsClientError', () => undefined);
    const port = await listen(server);
    const whenEnded = () =>
      new Promise<void>((resolve) => {
        ended = resolve;
      });
    return { port, received, whenEnded };
  }

  test('is told who answered', async () => {
    const { port } = await listening(ledger);
    const answered: VerifiedPeer[] = [];
    const socket = connect({
      port,
      host: '127.0.0.1',
      ...toLedger({ onPeer: (peer) => answered.push(peer) }),
    });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    expect(peerChain(socket)[0]).toEqual(Buffer.from(ledger.chain[0] ?? []));
    expect(answered.map(({ spiffeId }) => spiffeId)).toEqual([LEDGER]);
    socket.destroy();
  });

  const badServers: [string, () => Promise<TlsIdentity>, () => object, RegExp | string][] = [
    [
      'with another ID',
      () => newIdentity(authority, API),
      () => ({}),
      'ERR_SPIFFE_PEER_UNEXPECTED',
    ],
    [
      'that a predicate does not take',
      async () => ledger,
      () => ({ expect: () => false, bundles: new Map([[TRUST_DOMAIN, [authority.certificate]]]) }),
      'ERR_SPIFFE_PEER_UNEXPECTED',
    ],
    [
      'that has expired by our clock',
      async () => ledger,
      () => ({ now: () => Date.now() + 3_700_000 }),
      'ERR_SPIFFE_EXPIRED',
    ],
    [
      'from an authority that is not ours',
      async () => newIdentity(await newAuthority(), LEDGER),
      () => ({}),
      /SELF_SIGNED|UNABLE_TO/,
    ],
    [
      'whose authority is trusted for another domain only',
      async () => {
        const leaf = craft({
          issuer: partner,
          name: EMPTY_NAME,
          extensions: [x.notCa, x.digitalSignature, x.uris([LEDGER.uri])],
        });
        return { chain: [leaf.der], keyPem: pem(leaf.privateKey) };
      },
      () => ({
        bundles: new Map([
          [TRUST_DOMAIN, [authority.certificate]],
          ['partner.example', [partner.der]],
        ]),
      }),
      'ERR_SPIFFE_UNTRUSTED',
    ],
    [
      'that is an authority',
      async () => {
        const leaf = craft({
          issuer: root,
          name: EMPTY_NAME,
          extensions: [x.ca, x.keyUsage('03020284'), x.uris([LEDGER.uri])],
        });
        return { chain: [leaf.der], keyPem: pem(leaf.privateKey) };
      },
      () => ({ authorities: [root.der] }),
      'ERR_SPIFFE_LEAF_IS_AUTHORITY',
    ],
    [
      'with two IDs',
      async () => {
        const leaf = craft({
          issuer: root,
          name: EMPTY_NAME,
          extensions: [x.notCa, x.digitalSignature, x.uris([LEDGER.uri, API.uri])],
        });
        return { chain: [leaf.der], keyPem: pem(leaf.privateKey) };
      },
      () => ({ authorities: [root.der] }),
      'ERR_SPIFFE_URI_SAN',
    ],
  ];
  test.each(badServers)('sends nothing to a server %s', async (_, identity, more, code) => {
    const { port, received, whenEnded } = await listening(await identity());
    const ended = whenEnded();
    const socket = connect({ port, host: '127.0.0.1', ...toLedger(more()) });
    // As early as a careless caller might: it must not leave before the server is known.
    socket.write('secret');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toMatch(code);
    await ended;
    expect(received).toEqual([]);
  });

  // The usual way to call an SVID with plain Node: all authorities in one pot, and host names not compared.
  const BOTH = x.usages(SERVER_AUTH, CLIENT_AUTH);
  const name = x.uris([LEDGER.uri]);
  const shown: [string, Craft, () => Crafted, string | undefined, boolean][] = [
    [
      'an SVID',
      { extensions: [x.notCa, x.digitalSignature, BOTH, name] },
      () => root,
      undefined,
      true,
    ],
    [
      'a leaf with CA:TRUE',
      { extensions: [x.ca, x.keyUsage('03020284'), BOTH, name] },
      () => root,
      'ERR_SPIFFE_LEAF_IS_AUTHORITY',
      true,
    ],
    [
      'a leaf with keyCertSign',
      { extensions: [x.notCa, x.keyUsage('03020284'), BOTH, name] },
      () => root,
      'ERR_SPIFFE_KEY_USAGE',
      true,
    ],
    [
      'no key usage',
      { extensions: [x.notCa, BOTH, name] },
      () => root,
      'ERR_SPIFFE_KEY_USAGE',
      true,
    ],
    [
      'serverAuth alone',
      { extensions: [x.notCa, x.digitalSignature, x.usages(SERVER_AUTH), name] },
      () => root,
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      true,
    ],
    [
      'two URIs',
      { extensions: [x.notCa, x.digitalSignature, BOTH, x.uris([LEDGER.uri, API.uri])] },
      () => root,
      'ERR_SPIFFE_URI_SAN',
      true,
    ],
    [
      'no URI, but the host name',
      {
        name: commonName('localhost'),
        extensions: [x.notCa, x.digitalSignature, BOTH, x.dns('localhost')],
      },
      () => root,
      'ERR_SPIFFE_URI_SAN',
      true,
    ],
    [
      'an ID that climbs',
      {
        extensions: [
          x.notCa,
          x.digitalSignature,
          BOTH,
          x.uris([`spiffe://${TRUST_DOMAIN}/workload/../ledger`]),
        ],
      },
      () => root,
      'ERR_SPIFFE_URI_SAN',
      true,
    ],
    [
      "a partner's authority that names our ledger",
      { extensions: [x.notCa, x.digitalSignature, BOTH, name] },
      () => partner,
      'ERR_SPIFFE_UNTRUSTED',
      true,
    ],
    [
      'a trust domain that nobody knows',
      {
        extensions: [x.notCa, x.digitalSignature, BOTH, x.uris(['spiffe://foreign.example/x'])],
      },
      () => root,
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      true,
    ],
    [
      'clientAuth alone',
      { extensions: [x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH), name] },
      () => root,
      // OpenSSL looks first.
      'INVALID_PURPOSE',
      false,
    ],
    [
      'an expired SVID',
      {
        notAfterMs: Date.now() - 1000,
        extensions: [x.notCa, x.digitalSignature, BOTH, name],
      },
      () => root,
      'CERT_HAS_EXPIRED',
      false,
    ],
  ];
  test.each(shown)('shown %s by a server', async (_, leaf, issuer, refusal, isAcceptedByNode) => {
    const { der, privateKey } = craft({ name: EMPTY_NAME, ...leaf, issuer: issuer() });
    const { port } = await listening({ chain: [der], keyPem: pem(privateKey) });
    const dial = async (options: ConnectionOptions): Promise<string | undefined> => {
      const socket = connect({ port, host: '127.0.0.1', ...options });
      open.push({ close: () => socket.destroy() });
      return new Promise((resolve) => {
        socket.once('secureConnect', () => resolve(undefined));
        socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      });
    };
    const bundles = new Map([
      [TRUST_DOMAIN, [root.der]],
      ['partner.example', [partner.der]],
    ]);
    const ours = clientTlsOptions({ expect: () => true, bundles, now: Date.now });
    expect(await dial(ours)).toBe(refusal);
    const plain = {
      ca: [root, partner].map((each) => encodePem([each.der])),
      checkServerIdentity: () => undefined,
    };
    expect((await dial(plain)) === undefined).toBe(isAcceptedByNode);
  });

  test('takes a server by a predicate and a bundle of several trust domains', async () => {
    const { port } = await listening(ledger);
    const bundles = new Map([
      ['partner.example', [partner.der]],
      [TRUST_DOMAIN, [authority.certificate]],
    ]);
    const options = clientTlsOptions({
      expect: ({ path }) => path.startsWith('/workload/'),
      bundles,
      now: Date.now,
    });
    const socket = connect({ port, host: '127.0.0.1', ...options });
    await once(socket, 'secureConnect');
    socket.destroy();
  });

  test('takes a server that sends its intermediate', async () => {
    const intermediate = craft({ issuer: root, extensions: [x.caPath(0), x.certSign] });
    const leaf = craft({
      issuer: intermediate,
      name: EMPTY_NAME,
      extensions: [x.notCa, x.digitalSignature, x.uris([LEDGER.uri])],
    });
    const { port } = await listening({
      chain: [leaf.der, intermediate.der],
      keyPem: pem(leaf.privateKey),
    });
    const socket = connect({
      port,
      host: '127.0.0.1',
      ...toLedger({ authorities: [root.der] } as object),
    });
    await once(socket, 'secureConnect');
    socket.destroy();
  });

  test('takes an intermediate in its bundle for an authority', async () => {
    const intermediate = craft({ issuer: root, extensions: [x.caPath(0), x.certSign] });
    const leaf = craft({
      issuer: intermediate,
      name: EMPTY_NAME,
      extensions: [x.notCa, x.digitalSignature, x.uris([LEDGER.uri])],
    });
    const { port } = await listening({ chain: [leaf.der], keyPem: pem(leaf.privateKey) });
    const socket = connect({
      port,
      host: '127.0.0.1',
      ...toLedger({ authorities: [intermediate.der] } as object),
    });
    await once(socket, 'secureConnect');
    socket.destroy();
  });

  test('keeps no session in an https agent', async () => {
    const server = createHttpsServer({ cert: encodePem(ledger.chain), key: ledger.keyPem });
    server.on('request', (_request, response) =>
      response.setHeader('connection', 'close').end('ok'),
    );
    const reused: boolean[] = [];
    server.on('secureConnection', (socket) => reused.push(socket.isSessionReused()));
    const port = await listen(server);
    const agent = new HttpsAgent(toLedger());
    for (let count = 0; count < 3; count += 1) {
      await new Promise((resolve) => {
        get({ port, host: '127.0.0.1', agent }, (response) =>
          response.resume().once('close', resolve),
        );
      });
    }
    expect(reused).toEqual([false, false, false]);
  });

  test('is not made for an ID that is none, or without any authority', () => {
    expect(() => toLedger({ expect: 'ledger' })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_ID_INVALID' }),
    );
    expect(() => toLedger({ authorities: [] } as object)).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN' }),
    );
  });
});

describe('the chain of a socket', () => {
  test('is empty for one that was destroyed, and ends where a certificate is its own issuer', () => {
    expect(peerChain({ getPeerCertificate: () => null as never })).toEqual([]);
    expect(peerChain({ getPeerCertificate: () => ({}) as never })).toEqual([]);
    const self = {
      raw: Buffer.from('a'),
      fingerprint512: 'a',
      issuerCertificate: undefined as unknown,
    };
    self.issuerCertificate = self;
    expect(peerChain({ getPeerCertificate: () => self as never })).toEqual([self.raw]);
  });

  test('is cut at eight', () => {
    const certificate = (count: number): object => ({
      raw: Buffer.from([count]),
      fingerprint512: String(count),
      get issuerCertificate() {
        return certificate(count + 1);
      },
    });
    expect(peerChain({ getPeerCertificate: () => certificate(0) as never })).toHaveLength(8);
  });
});
