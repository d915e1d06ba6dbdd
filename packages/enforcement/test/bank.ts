import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type CedarEngine, createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import {
  createDecisionPoint,
  type LocalDecisionPoint,
  type ReplicaChange,
} from '@countersign/decision';
import {
  createEnforcementPoint,
  type EnforcementPoint,
  type EnforcementPointOptions,
  type PointAlarm,
} from '@countersign/enforcement';
import { ed25519NoteSigner, type Log, type LogDisk, nodeDisk, openLog } from '@countersign/ledger';
import {
  type DetailType,
  decodeEvent,
  type Event,
  type Fact,
  type Operation,
  type Surface,
} from '@countersign/model';
import { buildBundle, generateSchema, type ListenerConfig } from '@countersign/policy';
import type { Workload } from '@countersign/sdk';
import {
  clientTlsOptions,
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  type PrivateAuthority,
  parseSpiffeId,
  softwareSigner,
  type X509Authority,
} from '@countersign/spiffe';
import { Pool } from 'undici';
import { afterAll } from 'vitest';

export const TRUST_DOMAIN = 'bank.example';
export const POINT_ID = `spiffe://${TRUST_DOMAIN}/workload/countersign/edge`;
export const INSIDE_ID = `spiffe://${TRUST_DOMAIN}/workload/countersign/inside`;
export const LEDGERLY = `spiffe://${TRUST_DOMAIN}/partner/ledgerly`;
export const HARVEST = `spiffe://${TRUST_DOMAIN}/partner/harvest`;
export const PAYMENTS = `spiffe://${TRUST_DOMAIN}/workload/payments/api`;
export const AUDIENCE = 'https://api.bank.example/accounts';
export const ISSUER = 'https://localhost:7402';

/** One engine for all tests: it is asked, never changed. */
let engine: CedarEngine | undefined;
const banks = new Set<Bank>();
afterAll(async () => {
  for (const bank of banks) await bank.close();
  await engine?.close();
  engine = undefined;
});

const POLICIES = [
  {
    id: 'partners',
    text: '@id("partners") permit (principal is Partner, action, resource);',
  },
  {
    id: 'workload-reads',
    text: '@id("workload-reads") permit (principal is Workload, action == Accounts::Action::"GetAccount", resource);',
  },
  {
    id: 'no-risk',
    text: '@id("no-risk") forbid (principal, action, resource) when { context.risk == "HIGH" };',
  },
  {
    id: 'no-secrets',
    text: '@id("no-secrets") forbid (principal, action == Accounts::Action::"GetSecret", resource);',
  },
  {
    id: 'fresh-login',
    text: '@id("fresh-login") @challenge("acr=phr max_age=300") forbid (principal, action == Accounts::Action::"CloseAccount", resource) unless { context has acr && context.acr == "phr" };',
  },
];

function operation(
  id: string,
  method: string,
  path: string,
  scopes: readonly string[] = [],
): Operation {
  const parameters = [...path.matchAll(/\{(\w+?)(?:Id)?\}/g)].map(([, name]) => ({
    name: `${name}Id`,
    entityType: String(name),
  }));
  const isStateChanging = !['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method);
  return { id, method, path, parameters, scopes, isStateChanging };
}

export const ACCOUNTS: Surface = {
  name: 'accounts',
  namespace: 'Accounts',
  title: 'Accounts',
  owner: 'accounts@bank.example',
  criticality: 'high',
  regulations: [],
  dataClasses: [],
  persons: [],
  mode: 'enforce',
  upstream: { kind: 'unix', path: 'accounts.sock' },
  audience: AUDIENCE,
  factsMaxAgeSeconds: 60,
  evidenceLevel: 'E1',
  identityHeaders: ['X-Customer-Id'],
  operations: [
    operation('ListAccounts', 'GET', '/accounts', ['accounts']),
    operation('GetAccount', 'GET', '/accounts/{AccountId}'),
    operation('CloseAccount', 'DELETE', '/accounts/{AccountId}'),
    operation('GetDebit', 'GET', '/accounts/{AccountId}/debits/{DebitId}'),
    operation('Debit', 'POST', '/accounts/{AccountId}/debits'),
    operation('Pay', 'POST', '/payments', ['accounts', 'payments']),
    operation('GetSecret', 'GET', '/secrets/{SecretId}'),
    operation('Stream', 'GET', '/events'),
    operation('Socket', 'GET', '/socket'),
  ],
};

export interface BankOptions {
  readonly surface?: Partial<Surface>;
  /** Types of authorization details. */
  readonly details?: readonly DetailType[];
  readonly tlsOff?: boolean;
  /** Changes what the point is built of: how a test takes one protection away. */
  readonly rebuild?: (options: EnforcementPointOptions) => EnforcementPointOptions;
  /** Takes the point's own part as `via` of the edge. */
  readonly svidTtlSeconds?: number;
}

export interface Presented {
  readonly certPem: string;
  readonly keyPem: string;
  readonly thumbprint: string;
}

/** What a client got. */
export interface Got {
  readonly status: number;
  readonly message: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
  readonly information: readonly { readonly status: number; readonly raw: readonly string[] }[];
  /** Parsed problem document, if it is one. */
  readonly problem: { readonly eventId?: string; readonly type?: string; readonly title?: string };
}

export interface CallOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[] | Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly as?: Presented | undefined;
  readonly token?: string | undefined;
  readonly scheme?: string;
  readonly listener?: 'partners' | 'mesh';
  /** Another server than the bank's own point. */
  readonly at?: Elsewhere;
}

export interface Elsewhere {
  readonly port: number;
  /** SPIFFE ID. */
  readonly expect: string;
}

/** A listening bank: real TLS, real log, real decisions, and a resource that notes what it sees. */
export interface Bank {
  readonly folder: string;
  readonly point: EnforcementPoint;
  readonly decision: LocalDecisionPoint;
  readonly log: Log;
  readonly disk: GateDisk;
  readonly resource: Resource;
  readonly alarms: PointAlarm[];
  readonly authority: X509Authority;
  readonly partnerCa: PrivateAuthority;
  readonly workload: TestWorkload;
  readonly ports: { readonly partners: number; readonly mesh: number; readonly plain: number };
  /** The clock's offset, milliseconds. */
  skewMs: number;
  now(): number;
  /** Lets time pass, and the authority vouch again. */
  later(ms: number): void;
  /** Changes facts as the feed would. */
  change(puts: readonly Fact[], removes?: readonly string[]): void;
  /** Publishes another bundle. */
  publish(surface: Partial<Surface>, policies?: typeof POLICIES): Promise<void>;
  partner(name: string, ttlSeconds?: number): Promise<Presented>;
  svid(id: string, ttlSeconds?: number): Promise<Presented>;
  token(claims?: Record<string, unknown>, options?: TokenOptions): string;
  txnToken(claims?: Record<string, unknown>, options?: TokenOptions): string;
  call(options: CallOptions): Promise<Got>;
  tls(options: {
    as?: Presented | undefined;
    listener?: 'partners' | 'mesh';
    at?: Elsewhere;
  }): Promise<TLSSocket>;
  /** All durable events. */
  events(): Promise<Event[]>;
  /** The events of one id, by kind. */
  record(
    eventId: string | undefined,
  ): Promise<{ [K in Event['kind']]?: Extract<Event, { kind: K }> }>;
  /** Waits for an event that is on disk. */
  event(matches: (event: Event) => boolean): Promise<Event>;
  close(): Promise<void>;
}

export interface TokenOptions {
  readonly header?: Record<string, unknown>;
  readonly key?: KeyObject;
}

export async function openBank(options: BankOptions = {}): Promise<Bank> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-enforcement-'));
  const now = () => Date.now() + bank.skewMs;
  const authorityKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createX509Authority({
    trustDomain: TRUST_DOMAIN,
    signer: softwareSigner(authorityKeys),
    now: Date.now,
  });
  const partnerCa = await createPrivateAuthority({
    commonName: 'Partner CA',
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });
  const issuerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const txnKeys = generateKeyPairSync('ed25519');
  const insideKeys = generateKeyPairSync('ed25519');
  const workload = await createTestWorkload(
    authority,
    POINT_ID,
    options.svidTtlSeconds ?? 3600,
    () => Date.now(),
  );

  engine ??= createCedarEngine({ startThread: startNodeThread });
  const decision = createDecisionPoint({ engine });
  const listeners: ListenerConfig[] = [
    {
      name: 'partners',
      address: { host: '127.0.0.1', port: 0 },
      tls: 'required',
      clientAuthoritiesPem: [encodePem([partnerCa.certificate])],
      routes: [{ surface: 'accounts', prefix: '/accounts-api' }],
    },
    {
      name: 'mesh',
      address: { host: '127.0.0.1', port: 0 },
      tls: 'required',
      clientAuthoritiesPem: [],
      routes: [{ surface: 'accounts', prefix: '/accounts-api' }],
    },
    ...(options.tlsOff
      ? ([
          {
            name: 'plain',
            address: { host: '127.0.0.1', port: 0 },
            tls: 'off',
            clientAuthoritiesPem: [],
            routes: [{ surface: 'accounts', prefix: '/accounts-api' }],
          },
        ] as const)
      : []),
  ];
  const config = { name: 'edge', kind: 'gateway', listeners } as const;
  const changed = new Set<(change: ReplicaChange) => void>();
  let sequence = 0;
  let surface: Surface = { ...ACCOUNTS, ...options.surface };

  async function publish(change: Partial<Surface>, policies = POLICIES): Promise<void> {
    surface = { ...surface, ...change };
    const surfaces = [surface];
    const bundle = buildBundle(
      {
        config: {
          points: [config],
          record: { shard: 'quarter', localKeep: { count: 3, unit: 'month' } },
        } as unknown as Parameters<typeof buildBundle>[0]['config'],
        surfaces,
        policies: policies.map((policy) => ({ ...policy, file: `${policy.id}.cedar` })),
        schema: generateSchema(surfaces, undefined, options.details),
      },
      { trustDomain: TRUST_DOMAIN, sequence: ++sequence, now },
    );
    await decision.install(bundle);
    for (const listener of changed) listener({ kind: 'bundle', bundle });
  }

  function change(puts: readonly Fact[], removes: readonly string[] = []): void {
    const step = { sequence: decision.facts.sequence + 1, atMs: now(), puts, removes };
    decision.facts.apply(step);
    for (const listener of changed) listener({ kind: 'facts', change: step });
  }

  const disk = gateDisk(nodeDisk(join(folder, 'log')));
  const logKey = generateKeyPairSync('ed25519').privateKey;
  const origin = 'log.bank.example/edge';
  const resource = await openResource(join(folder, 'accounts.sock'));
  const alarms: PointAlarm[] = [];
  const bank = {
    skewMs: 0,
    folder,
    decision,
    disk,
    resource,
    alarms,
    authority,
    partnerCa,
    workload,
    now,
    change,
    publish,
  } as Bank & { point: EnforcementPoint; log: Log; ports: Bank['ports'] };

  bank.log = await openLog({
    origin,
    signer: ed25519NoteSigner({ name: origin, privateKey: logKey }),
    disk,
    now,
  });
  const publicJwk = (key: KeyObject) => key.export({ format: 'jwk' }) as Record<string, string>;
  const base: EnforcementPointOptions = {
    name: 'edge',
    spiffeId: POINT_ID,
    trustDomain: TRUST_DOMAIN,
    config,
    replica: {
      point: decision,
      onChange(listener) {
        changed.add(listener);
        return () => changed.delete(listener);
      },
    },
    log: bank.log,
    seal: (event) => event,
    workload,
    transactionSigner: {
      kid: 'txn-edge',
      jwk: publicJwk(txnKeys.publicKey),
      sign: (bytes) => sign(null, bytes, txnKeys.privateKey),
    },
    dataFolder: folder,
    now,
    onAlarm: (alarm) => void alarms.push(alarm),
  };
  bank.point = createEnforcementPoint(options.rebuild ? options.rebuild(base) : base);

  const subject = (id: string, certificates: readonly string[] = []): Fact => ({
    kind: 'subject',
    id,
    enabled: true,
    owner: 'test@bank.example',
    attributes: {},
    parents: [],
    certificates: [...certificates],
  });
  const notAfterMs = Date.now() + 86_400_000;
  change([
    subject(LEDGERLY),
    subject(HARVEST),
    subject(PAYMENTS),
    subject(POINT_ID),
    subject(INSIDE_ID),
    subject(`spiffe://${TRUST_DOMAIN}/agent/reconciler`),
    {
      kind: 'issuer-key',
      issuer: ISSUER,
      kid: 'issuer-1',
      jwk: publicJwk(issuerKeys.publicKey),
      notAfterMs,
    },
    {
      kind: 'transaction-key',
      kid: 'txn-edge',
      jwk: publicJwk(txnKeys.publicKey),
      holder: POINT_ID,
      surfaces: ['accounts'],
      notAfterMs,
    },
    {
      kind: 'transaction-key',
      kid: 'txn-inside',
      jwk: publicJwk(insideKeys.publicKey),
      holder: INSIDE_ID,
      surfaces: ['core'],
      notAfterMs,
    },
    {
      kind: 'trust-bundle',
      trustDomain: TRUST_DOMAIN,
      x509Authorities: [Buffer.from(authority.certificate).toString('base64')],
    },
  ]);
  await publish({});
  const addresses = await bank.point.listen();
  const portOf = (name: string) => addresses.find((each) => each.name === name)?.port ?? 0;
  bank.ports = { partners: portOf('partners'), mesh: portOf('mesh'), plain: portOf('plain') };

  bank.later = (ms) => {
    bank.skewMs += ms;
    change([]);
  };
  bank.partner = async (name, ttlSeconds = 3600) => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const issued = await partnerCa.issueClientCertificate({
      commonName: name,
      publicKey: keys.publicKey,
      ttlSeconds,
    });
    return presented(issued.chain, keys.privateKey);
  };
  bank.svid = async (id, ttlSeconds = 3600) => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const issued = await authority.issueSvid({
      spiffeId: parseSpiffeId(id),
      publicKey: keys.publicKey,
      ttlSeconds,
    });
    return presented(issued.chain, keys.privateKey);
  };
  bank.token = (claims = {}, { header = {}, key = issuerKeys.privateKey } = {}) => {
    const seconds = Math.floor(now() / 1000);
    return jws(
      { alg: 'ES256', typ: 'at+jwt', kid: 'issuer-1', ...header },
      {
        iss: ISSUER,
        aud: AUDIENCE,
        sub: LEDGERLY,
        client_id: 'ledgerly',
        jti: `jti-${Math.random()}`,
        sid: 'session-1',
        scope: 'accounts payments',
        iat: seconds,
        exp: seconds + 300,
        ...claims,
      },
      key,
    );
  };
  bank.txnToken = (claims = {}, { header = {}, key = txnKeys.privateKey } = {}) => {
    const seconds = Math.floor(now() / 1000);
    return jws(
      { alg: 'EdDSA', typ: 'txntoken+jwt', kid: 'txn-edge', ...header },
      {
        iat: seconds,
        exp: seconds + 60,
        aud: TRUST_DOMAIN,
        txn: 'txn-1',
        sub: LEDGERLY,
        scope: 'accounts',
        req_wl: POINT_ID,
        tctx: { surface: 'accounts' },
        rctx: { sid: 'session-1' },
        ...claims,
      },
      key,
    );
  };
  bank.call = (call) => callBank(bank, call);
  bank.tls = async ({ as, listener = 'partners', at }) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: at?.port ?? bank.ports[listener],
      ...clientTls(bank, as, at?.expect),
    });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  };
  bank.events = async () => {
    const events: Event[] = [];
    while (events.length < bank.log.size) {
      const read = await bank.log.read(events.length, { count: 1000, bytesMax: 4_000_000 });
      events.push(...read.entries.map(decodeEvent));
    }
    return events;
  };
  bank.record = async (eventId) => {
    const events = (await bank.events()).filter((event) => event.id === eventId);
    return Object.fromEntries(events.map((event) => [event.kind, event]));
  };
  bank.event = async (matches) => {
    for (;;) {
      const found = (await bank.events()).find(matches);
      if (found) return found;
      await new Promise<void>((resolve) => {
        const off = bank.log.onCommit(() => {
          off();
          resolve();
        });
      });
    }
  };
  bank.close = async () => {
    if (!banks.delete(bank)) return;
    disk.open();
    await bank.point.close({ graceMs: 0 });
    await resource.close();
    await workload.close();
    await bank.log.close().catch(() => {});
    decision.release();
    await rm(folder, { recursive: true, force: true });
  };
  banks.add(bank);
  return bank;
}

function presented(chain: readonly Uint8Array[], key: KeyObject): Presented {
  return {
    certPem: encodePem(chain),
    keyPem: key.export({ format: 'pem', type: 'pkcs8' }) as string,
    thumbprint: createHash('sha256')
      .update(chain[0] as Uint8Array)
      .digest('base64url'),
  };
}

export function jws(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  key: KeyObject,
): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(claims)}`;
  const signature =
    key.asymmetricKeyType === 'ed25519'
      ? sign(null, Buffer.from(input), key)
      : sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

function clientTls(bank: Bank, as: Presented | undefined, expect = POINT_ID): ConnectionOptions {
  return {
    ...clientTlsOptions({
      expect,
      authorities: [bank.authority.certificate],
      now: Date.now,
    }),
    ...(as && { cert: as.certPem, key: as.keyPem }),
  } as ConnectionOptions;
}

function callBank(bank: Bank, options: CallOptions): Promise<Got> {
  const { method = 'GET', path = '/accounts-api/accounts/22289', listener = 'partners' } = options;
  const port = options.at?.port ?? bank.ports[listener];
  const headers: string[] = Array.isArray(options.headers)
    ? [...options.headers]
    : ['Host', `127.0.0.1:${port}`, ...flat(options.headers as Record<string, string> | undefined)];
  if (options.token)
    headers.push('Authorization', `${options.scheme ?? 'Bearer'} ${options.token}`);
  if (
    options.body !== undefined &&
    !headers.some((name) => /^(content-length|transfer-encoding)$/i.test(name))
  ) {
    headers.push('Content-Length', String(Buffer.byteLength(options.body)));
  }
  return new Promise((resolve, reject) => {
    const information: { status: number; raw: string[] }[] = [];
    const outgoing = httpsRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers,
      setHost: false,
      agent: false,
      ...clientTls(bank, options.as, options.at?.expect),
    } as RequestOptions);
    outgoing.on('information', ({ statusCode, rawHeaders }) => {
      information.push({ status: statusCode, raw: rawHeaders });
    });
    outgoing.on('error', reject);
    outgoing.on('response', async (response) => {
      try {
        const body = await text(response);
        resolve({
          status: response.statusCode ?? 0,
          message: response.statusMessage ?? '',
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          trailers: response.trailers,
          body,
          information,
          problem: /problem\+json/.test(String(response.headers['content-type']))
            ? JSON.parse(body || '{}')
            : {},
        });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.end(options.body);
  });
}

function flat(headers: Record<string, string | string[]> = {}): string[] {
  return Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [name, value]),
  );
}

export async function text(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** What stands behind the point: it notes every request and answers as the test says. */
export interface Resource {
  readonly seen: {
    readonly method: string;
    readonly target: string;
    readonly rawHeaders: readonly string[];
    readonly headers: NodeJS.Dict<string | string[]>;
    readonly body: () => Promise<string>;
  }[];
  handler: (request: IncomingMessage, response: ServerResponse) => void;
  readonly server: Server;
  close(): Promise<void>;
}

async function openResource(path: string): Promise<Resource> {
  const server = createServer({ requireHostHeader: false });
  const resource: Resource = {
    seen: [],
    server,
    handler(_request, response) {
      response.setHeader('Content-Type', 'application/json');
      response.end('{"ok":true}');
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const note = (request: IncomingMessage) => {
    let body: Promise<string> | undefined;
    resource.seen.push({
      method: request.method ?? '',
      target: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body: () => {
        body ??= text(request);
        return body;
      },
    });
  };
  server.on('request', (request, response) => {
    note(request);
    resource.handler(request, response);
  });
  server.on('upgrade', (request) => note(request));
  server.listen(path);
  await once(server, 'listening');
  return resource;
}

/** A disk whose syncs can be held back or made to fail. */
export interface GateDisk extends LogDisk {
  /** From now on nothing becomes durable. */
  hold(): void;
  open(): void;
  /** From now on every sync fails. */
  fail(): void;
  /** Resolves when a sync waits at the gate. */
  held(): Promise<void>;
}

function gateDisk(disk: LogDisk): GateDisk {
  let gate: { promise: Promise<void>; resolve: () => void } | undefined;
  let isFailing = false;
  let waiting = Promise.withResolvers<void>();
  return {
    ...disk,
    async openAppend(name) {
      const file = await disk.openAppend(name);
      return {
        write: (bytes) => file.write(bytes),
        async sync() {
          if (isFailing) throw new Error('disk is gone');
          if (gate) {
            waiting.resolve();
            await gate.promise;
            if (isFailing) throw new Error('disk is gone');
          }
          await file.sync();
        },
        close: () => file.close(),
      };
    },
    hold() {
      gate = Promise.withResolvers<void>();
      waiting = Promise.withResolvers<void>();
    },
    open() {
      gate?.resolve();
      gate = undefined;
    },
    fail() {
      isFailing = true;
      gate?.resolve();
      gate = undefined;
    },
    held: () => waiting.promise,
  };
}

/** A workload whose SVID is real and whose renewal the test calls for. */
export interface TestWorkload extends Workload {
  rotate(): Promise<void>;
}

export async function createTestWorkload(
  authority: X509Authority,
  spiffeId: string,
  ttlSeconds: number,
  now: () => number,
): Promise<TestWorkload> {
  const listeners = new Set<() => void>();
  const pools = new Map<string, Pool>();
  let current = await issue();
  async function issue() {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const svid = await authority.issueSvid({
      spiffeId: parseSpiffeId(spiffeId),
      publicKey: keys.publicKey,
      ttlSeconds,
      dnsNames: ['localhost'],
    });
    return { ...svid, keyPem: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string };
  }
  return {
    spiffeId,
    get chain() {
      return current.chain;
    },
    get keyPem() {
      return current.keyPem;
    },
    get notAfterMs() {
      return current.notAfterMs;
    },
    get renewAfterMs() {
      return current.notAfterMs;
    },
    authorities: [authority.certificate],
    onRotate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    dispatcherFor(origin, peer) {
      const expect = typeof peer === 'string' ? peer : '';
      const key = `${origin} ${expect}`;
      let pool = pools.get(key);
      if (!pool) {
        pool = new Pool(origin, {
          connect: clientTlsOptions({
            svid: current,
            authorities: [authority.certificate],
            expect,
            now,
          }),
        });
        pools.set(key, pool);
      }
      return pool;
    },
    async rotate() {
      current = await issue();
      for (const listener of listeners) listener();
    },
    async close() {
      for (const pool of pools.values()) await pool.destroy();
    },
  };
}
