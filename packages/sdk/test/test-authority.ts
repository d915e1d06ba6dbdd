import { Buffer } from 'node:buffer';
import { createPublicKey, generateKeyPairSync, type JsonWebKey, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  createX509Authority,
  parseSpiffeId,
  type SpiffeError,
  serverTlsOptions,
  softwareSigner,
  type TlsIdentity,
  verifyPeers,
  verifyX509Svid,
  type X509Authority,
} from '@countersign/spiffe';

export const TRUST_DOMAIN = 'bank.example';
export const AUTHORITY_ID = `spiffe://${TRUST_DOMAIN}/workload/countersign/authority`;
export const WORKLOAD_ID = `spiffe://${TRUST_DOMAIN}/workload/payments/api`;

type Refusal = {
  readonly status: number;
  readonly title?: string;
  readonly detail?: string;
  readonly retryAfterSeconds?: number;
};

class Problem extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.title);
    this.refusal = refusal;
  }
}

/** The two calls of the control API over real TLS, with a real authority; what it answers can be changed. */
export class TestAuthority {
  readonly authority: X509Authority;
  readonly url: string;
  /** Every request that was taken, newest last. */
  readonly requests: {
    path: string;
    header: Record<string, unknown>;
    payload: Record<string, unknown>;
  }[] = [];
  readonly joinTokens = new Map<string, string>();
  /** Tokens of pods, which may join as often as they like. */
  readonly pods = new Map<string, string>();
  /** So many SVIDs are issued of which nobody hears. */
  loseAnswers = 0;
  /** What every answer waits for. */
  hold: Promise<void> | undefined;
  /** How many requests were open at once, at most. */
  openMax = 0;
  #open = 0;
  ttlSeconds = 600;
  /** Part of the life after which to renew. */
  renewAt = 0.5;
  refusal: Refusal | undefined;
  /** Whom the next SVIDs name, instead of who asked. */
  issueAs: string | undefined;
  /** Answers `GET /v1/trust-bundle`; an authority of before it has none. */
  onBundle: ((query: URLSearchParams) => Promise<string | undefined>) | undefined;
  /** Changes the answer before it is sent. */
  tamper: (answer: Record<string, unknown>) => unknown = (answer) => answer;
  readonly #server: Server;

  static async start({ id = AUTHORITY_ID } = {}): Promise<TestAuthority> {
    const authority = await createX509Authority({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
      now: Date.now,
    });
    const identity = await issueIdentity(authority, id, 3600);
    const tls = { svid: () => identity, clientCertificates: 'request' as const };
    const server = createServer(serverTlsOptions(tls));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestAuthority(authority, server);
  }

  constructor(authority: X509Authority, server: Server) {
    this.authority = authority;
    this.#server = server;
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const peers = verifyPeers(server, {
      clientCertificates: 'request',
      verify: (chain) => verifyX509Svid(chain, { bundles: this.bundles, now: Date.now }),
    });
    server.on('request', async (request, response) => {
      const asked = new URL(request.url ?? '', this.url);
      if (asked.pathname === '/v1/trust-bundle') {
        const answer = await this.onBundle?.(asked.searchParams);
        if (answer === undefined) response.writeHead(this.onBundle ? 204 : 404).end();
        else response.end(JSON.stringify({ bundle: answer }));
        return;
      }
      let text = '';
      for await (const chunk of request.setEncoding('utf8')) text += chunk;
      this.#open += 1;
      this.openMax = Math.max(this.openMax, this.#open);
      response.once('close', () => {
        this.#open -= 1;
      });
      await this.hold;
      try {
        const body = JSON.parse(text);
        const spiffeId =
          request.url === '/v1/enrol'
            ? (this.pods.get(body.attestation?.token) ?? this.#takeToken(body.joinToken))
            : peers.of(request.socket)?.spiffeId.uri;
        if (this.refusal || spiffeId === undefined)
          throw new Problem(
            this.refusal ?? { status: 401, title: 'unauthenticated', detail: 'no svid' },
          );
        const answer = this.tamper(await this.#issue(request.url ?? '', body.request, spiffeId));
        if (this.loseAnswers > 0) {
          this.loseAnswers -= 1;
          request.socket.destroy();
          return;
        }
        response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
      } catch (error) {
        const problem: Refusal = error instanceof Problem ? error.refusal : { status: 500 };
        response.statusCode = problem.status;
        const { retryAfterSeconds } = problem;
        if (retryAfterSeconds) response.setHeader('retry-after', retryAfterSeconds);
        response.setHeader('content-type', 'application/problem+json').end(JSON.stringify(problem));
      }
    });
  }

  get bundles(): Map<string, Uint8Array[]> {
    return new Map([[TRUST_DOMAIN, [this.authority.certificate]]]);
  }

  get anchors(): string[] {
    return [Buffer.from(this.authority.certificate).toString('base64')];
  }

  join(token: string, spiffeId = WORKLOAD_ID): string {
    this.joinTokens.set(token, spiffeId);
    return token;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #takeToken(token: string): string {
    const spiffeId = this.joinTokens.get(token);
    if (!spiffeId)
      throw new Problem({ status: 401, title: 'join token refused', detail: 'unknown or used' });
    this.joinTokens.delete(token);
    return spiffeId;
  }

  async #issue(path: string, jws: string, asker: string): Promise<Record<string, unknown>> {
    const uri = this.issueAs ?? asker;
    const [head = '', body = '', signature = ''] = jws.split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    const publicKey = createPublicKey({ key: header['jwk'] as JsonWebKey, format: 'jwk' });
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    if (!isSigned) throw new Problem({ status: 400, title: 'bad signature' });
    this.requests.push({ path, header, payload });
    const svid = await this.authority.issueSvid({
      spiffeId: parseSpiffeId(uri),
      publicKey,
      ttlSeconds: this.ttlSeconds,
    });
    return {
      spiffeId: uri,
      chain: svid.chain.map((der) => Buffer.from(der).toString('base64')),
      authorities: this.anchors,
      notAfterMs: svid.notAfterMs,
      renewAfterMs: Date.now() + this.ttlSeconds * 1000 * this.renewAt,
    };
  }
}

export async function issueIdentity(
  authority: X509Authority,
  id: string,
  ttlSeconds: number,
): Promise<TlsIdentity> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const svid = await authority.issueSvid({
    spiffeId: parseSpiffeId(id),
    publicKey: keys.publicKey,
    ttlSeconds,
  });
  return {
    chain: svid.chain,
    keyPem: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
}

/** A peer that answers with the caller's SPIFFE ID and the serial number of its SVID. */
export interface TestPeer {
  readonly origin: string;
  readonly spiffeId: string;
  readonly refusals: SpiffeError[];
  /** TCP connections that were opened. */
  connections: number;
  /** Requests that reached the handler. */
  handled: number;
  stop(): Promise<void>;
}

export async function startPeer(
  authority: TestAuthority,
  {
    spiffeId = `spiffe://${TRUST_DOMAIN}/workload/ledger/api`,
    ttlSeconds = 3600,
    delayMs = 0,
  } = {},
): Promise<TestPeer> {
  const identity = await issueIdentity(authority.authority, spiffeId, ttlSeconds);
  const server = createServer(
    serverTlsOptions({ svid: () => identity, clientCertificates: 'require' }),
  );
  const refusals: SpiffeError[] = [];
  const peers = verifyPeers(server, {
    clientCertificates: 'require',
    verify: (chain) => verifyX509Svid(chain, { bundles: authority.bundles, now: Date.now }),
    onRefused: (error) => refusals.push(error),
  });
  const peer = { connections: 0, handled: 0 };
  server.on('connection', () => {
    peer.connections += 1;
  });
  server.on('request', (request, response) => {
    peer.handled += 1;
    const caller = peers.of(request.socket);
    const answer = JSON.stringify({
      id: caller?.spiffeId.uri,
      serial: caller?.serialHex,
      headers: request.headers,
    });
    if (request.url === '/hang') response.write('{');
    else if (delayMs > 0) setTimeout(() => response.end(answer), delayMs);
    else response.end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(peer, {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spiffeId,
    refusals,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  });
}
