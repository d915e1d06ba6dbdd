import { generateKeyPairSync, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import {
  controlRoutes,
  deviceControlRoutes,
  type Identity,
  type Keyring,
  type NewEvent,
  openIdentity,
  openKeyring,
} from '@countersign/identity';
import type { ClientRegistration, Registration } from '@countersign/model';
import {
  type CertificateNames,
  certificateNames,
  certificateThumbprint,
  createPrivateAuthority,
  encodePem,
  peerChain,
  serverTlsOptions,
  softwareSigner,
  verifyX509Svid,
} from '@countersign/spiffe';
import { type Database, type FactLog, openFactLog } from '@countersign/state';
import { fastify } from 'fastify';
import { SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { emptyDatabase } from './empty-database.ts';

export const trustDomain = 'bank.example';
export const passphrase = 'correct horse battery staple';
export const accounts = 'https://api.bank.example/accounts';
export const payments = 'https://api.bank.example/payments';
export const id = (path: string) => `spiffe://${trustDomain}/${path}`;

const folder = mkdtempSync(join(tmpdir(), 'identity-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
/** One for all tests: deriving keys from a passphrase takes its time. */
export const keyring: Promise<Keyring> = openKeyring({ folder: join(folder, 'keys'), passphrase });

/** An authority with its two listeners, in memory. */
export interface TestAuthority {
  readonly identity: Identity;
  readonly database: Database;
  readonly factLog: FactLog;
  readonly events: NewEvent[];
  /** Handshakes that failed at the control listener. */
  readonly tlsErrors: Error[];
  readonly controlUrl: string;
  readonly issuerUrl: string;
  readonly authorityPem: string;
  /** What the issuer's listener shows. */
  readonly issuerCertificate: X509Certificate;
  /** Moves the clock of everything but `oidc-provider`, which has none. */
  advance(milliseconds: number): void;
  now(): number;
  failRecording(isFailing: boolean): void;
  /** Lets the next event that is like this wait, and who waits for it to be recorded. */
  holdRecording(isIt: (event: NewEvent) => boolean): HeldEvent;
  close(): Promise<void>;
}

/** An event on its way into the log. */
export interface HeldEvent {
  /** When somebody wants it recorded. */
  readonly reached: Promise<void>;
  release(): void;
}

export async function startAuthority(
  options: Partial<Parameters<typeof openIdentity>[0]['options']> = {},
  outside: Pick<Parameters<typeof openIdentity>[0], 'onCompliance' | 'notify'> & {
    readonly database?: Database;
  } = {},
): Promise<TestAuthority> {
  const { database = await emptyDatabase(), ...more } = outside;
  let offset = 0;
  const now = () => Date.now() + offset;
  const factLog = await openFactLog(database, { trustDomain, now });
  const events: NewEvent[] = [];
  let isFailing = false;
  const holds = new Set<{ isIt: (event: NewEvent) => boolean; wait: () => Promise<void> }>();
  const issuer: { handler?: Identity['issuer']['handler'] } = {};
  const issuerServer = createHttpsServer({ requestCert: true, rejectUnauthorized: false }, (a, b) =>
    issuer.handler?.(a, b),
  );
  const issuerUrl = await listen(issuerServer);
  const identity = await openIdentity({
    database,
    factLog,
    keyring: await keyring,
    options: { svidTtlSeconds: 120, accessTokenTtlSeconds: 300, issuerUrl, ...options },
    now,
    ...more,
    async record(event) {
      if (isFailing) throw new Error('the log is gone');
      events.push(event);
      const hold = [...holds].find(({ isIt }) => isIt(event));
      if (hold === undefined) return;
      holds.delete(hold);
      await hold.wait();
    },
  });
  issuer.handler = identity.issuer.handler;
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const svid = await identity.issueOwnSvid(own.publicKey, {
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const tls = serverTlsOptions({
    svid: () => ({ chain: svid.chain, keyPem: pemOf(own.privateKey) }),
    clientCertificates: 'request',
  });
  issuerServer.setSecureContext(tls);

  const authorities = identity.trustAnchors.x509Authorities.map((der) =>
    Buffer.from(der, 'base64'),
  );
  const app = fastify({ https: tls });
  const tlsErrors: Error[] = [];
  app.server.on('tlsClientError', (error: Error) => void tlsErrors.push(error));
  // As the authority's own listener: a foreign certificate is no peer, and no reason to end the connection.
  const verified = (socket: TLSSocket) => {
    try {
      const bundles = new Map([[trustDomain, authorities]]);
      return verifyX509Svid(peerChain(socket), { bundles, now });
    } catch {
      return undefined;
    }
  };
  await app.register(
    controlRoutes({
      identity,
      chain: ({ raw }) => peerChain(raw.socket as TLSSocket),
      peer({ raw }) {
        const peer = verified(raw.socket as TLSSocket);
        return peer && peer.notAfterMs > now()
          ? { spiffeId: peer.spiffeId.uri, thumbprint: peer.thumbprint, names: peer.names }
          : undefined;
      },
    }),
  );
  await app.register(deviceControlRoutes({ devices: identity.devices }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    identity,
    database,
    factLog,
    events,
    tlsErrors,
    controlUrl: `https://localhost:${port}`,
    issuerUrl,
    authorityPem: encodePem(authorities),
    issuerCertificate: new X509Certificate(svid.chain[0] as Uint8Array),
    advance: (milliseconds) => {
      offset += milliseconds;
    },
    now,
    failRecording: (failing) => {
      isFailing = failing;
    },
    holdRecording(isIt) {
      const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      holds.add({
        isIt,
        wait() {
          reached.resolve();
          return released.promise;
        },
      });
      return { reached: reached.promise, release: () => released.resolve() };
    },
    async close() {
      issuerServer.closeAllConnections();
      issuerServer.close();
      app.server.closeAllConnections();
      await app.close();
      await database.close();
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A request for an SVID as the wire contract says; `claims` and `header` replace parts of it. */
export async function svidRequest(
  keys: { privateKey: KeyObject; publicKey: KeyObject } = newKey(),
  { claims = {}, header = {} }: { claims?: object; header?: object } = {},
): Promise<string> {
  const jwk = keys.publicKey.export({ format: 'jwk' });
  return new SignJWT({
    aud: trustDomain,
    iat: Math.floor(Date.now() / 1000),
    jti: randomUUID(),
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'svid-request+jwt', jwk, ...header })
    .sign(keys.privateKey);
}

/** Somebody who joined with a token, as the peer of a connection. */
export async function joinedPeer(
  identity: Identity,
  spiffeId: string,
  nowMs = Date.now(),
): Promise<{ spiffeId: string; thumbprint: string; names: CertificateNames }> {
  const made = await identity.createJoinToken({ spiffeId, by: 'local:uid=0' });
  if (!made.isGranted) throw new Error(made.code);
  const request = await svidRequest(newKey(), { claims: { iat: Math.floor(nowMs / 1000) } });
  const grant = await identity.enrol({ joinToken: made.joinToken, request });
  if (!grant.isGranted) throw new Error(grant.code);
  return peerOf(spiffeId, grant);
}

/** The peer that shows an SVID of that chain. */
export function peerOf(spiffeId: string, { chain: [leaf = ''] }: { chain: readonly string[] }) {
  const names = certificateNames(Buffer.from(leaf, 'base64'));
  return { spiffeId, thumbprint: names[0], names };
}

/** Who a client is on the wire. */
export interface TlsClient {
  readonly certPem?: string;
  readonly keyPem?: string;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it, it says itself
  readonly body: any;
}

/** One POST over TLS 1.3, on a connection of its own. */
export async function post(
  authority: TestAuthority,
  url: string,
  options: {
    readonly client?: TlsClient;
    readonly json?: unknown;
    readonly form?: Readonly<Record<string, string>> | string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<Answer> {
  const { client = {}, json, form, headers = {} } = options;
  const agent = new Agent({
    connect: {
      ca: authority.authorityPem,
      ...(client.certPem && { cert: client.certPem }),
      ...(client.keyPem && { key: client.keyPem }),
    },
  });
  try {
    const {
      statusCode,
      headers: got,
      body,
    } = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
        ...headers,
      },
      body: form ? new URLSearchParams(form).toString() : JSON.stringify(json),
    });
    const text = await body.text();
    return {
      status: statusCode,
      type: String(got['content-type']),
      body: text === '' ? undefined : JSON.parse(text),
    };
  } finally {
    await agent.destroy();
  }
}

/** A partner with an authority of its own, and a client certificate from it. */
export async function partner(name: string) {
  const keys = newKey();
  const authority = await createPrivateAuthority({
    commonName: `${name} CA`,
    signer: softwareSigner(newKey()),
    now: Date.now,
  });
  const { chain } = await authority.issueClientCertificate({
    commonName: name,
    publicKey: keys.publicKey,
    ttlSeconds: 86_400,
  });
  const [leaf] = chain;
  if (leaf === undefined) throw new Error('no leaf');
  return {
    keys,
    thumbprint: certificateThumbprint(leaf),
    tls: { certPem: encodePem(chain), keyPem: pemOf(keys.privateKey) },
  };
}

export function registration(
  path: string,
  more: Partial<Omit<Registration, 'client'>> & { client?: Partial<ClientRegistration> } = {},
): Registration {
  const { client, ...rest } = more;
  const [kind] = path.split('/');
  return {
    subject: { kind: kind as Registration['subject']['kind'], id: id(path) },
    owner: 'team@bank.example',
    enabled: true,
    attributes: {},
    parents: [],
    certificates: [],
    ...rest,
    ...(client && {
      client: {
        id: path.replaceAll('/', '-'),
        authentication: 'tls_client_auth',
        binding: 'mtls',
        scopes: ['accounts', 'payments'],
        audiences: [accounts, payments],
        tokenTtlSeconds: 300,
        ...client,
      },
    }),
  };
}

/** The last event of a kind, without what it says in detail. */
export function last(authority: TestAuthority, kind: NewEvent['kind']): NewEvent | undefined {
  return authority.events.findLast((event) => event.kind === kind);
}
