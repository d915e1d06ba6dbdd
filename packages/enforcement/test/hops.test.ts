import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { type CedarEngine, createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica, type Replica } from '@countersign/decision';
import {
  createEnforcementPoint,
  type EnforcementPoint,
  type PointAlarm,
} from '@countersign/enforcement';
import { ed25519NoteSigner, type Log, nodeDisk, openLog } from '@countersign/ledger';
import { decodeEvent, type Event, type Fact } from '@countersign/model';
import type { PointConfig } from '@countersign/policy';
import { encodePem } from '@countersign/spiffe';
import { FACTS_TYPE, localSigner, POLICY_TYPE, signStatement } from '@countersign/state';
import { afterAll, afterEach, expect, test } from 'vitest';
import {
  type Bank,
  createTestWorkload,
  LEDGERLY,
  openBank,
  POINT_ID,
  type TestWorkload,
  TRUST_DOMAIN,
} from './bank.ts';

// Two enforcement points in a row: a gateway with a replica that is fed signed lines, and behind
// it the point beside the resource.

const OUTER_ID = `spiffe://${TRUST_DOMAIN}/workload/countersign/outer`;
const KINDS = ['subject', 'issuer-key', 'transaction-key', 'trust-bundle'] as const;

let engine: CedarEngine | undefined;
const opened: Outer[] = [];
afterEach(async () => {
  for (const outer of opened.splice(0)) await outer.close();
});
afterAll(() => engine?.close());

interface Outer {
  readonly inner: Bank;
  readonly point: EnforcementPoint;
  readonly replica: Replica;
  readonly alarms: PointAlarm[];
  readonly workload: TestWorkload;
  feed(puts: readonly Fact[]): Promise<void>;
  /** Publishes the inner point's bundle here too. */
  publish(): Promise<void>;
  events(): Promise<Event[]>;
  readonly at: { readonly port: number; readonly expect: string };
  call: Bank['call'];
  close(): Promise<void>;
}

async function openOuter(
  expectedInner = POINT_ID,
  mode: 'enforce' | 'shadow' = 'enforce',
): Promise<Outer> {
  const inner = await openBank({ surface: { mode } });
  engine ??= createCedarEngine({ startThread: startNodeThread });
  const factKeys = generateKeyPairSync('ed25519');
  const policyKeys = generateKeyPairSync('ed25519');
  const transactionKeys = generateKeyPairSync('ed25519');
  const factSigner = localSigner(factKeys.privateKey, 'facts');
  const policySigner = localSigner(policyKeys.privateKey, 'policy');
  const now = inner.now;
  const jwk = transactionKeys.publicKey.export({ format: 'jwk' }) as Record<string, string>;
  const more: Fact[] = [
    {
      kind: 'subject',
      id: OUTER_ID,
      enabled: true,
      owner: 'test',
      attributes: {},
      parents: [],
      certificates: [],
    },
    {
      kind: 'transaction-key',
      kid: 'txn-outer',
      jwk,
      holder: OUTER_ID,
      surfaces: ['accounts'],
      notAfterMs: now() + 3_600_000,
    },
  ];
  inner.change(more);

  const replica = await openReplica({
    anchors: {
      trustDomain: TRUST_DOMAIN,
      x509Authorities: [],
      factKeys: [factSigner.publicJwk],
      policyKeys: [policySigner.publicJwk],
    },
    engine,
    now,
  });
  let sequence = 1;
  async function accept(line: object): Promise<void> {
    expect(await replica.accept(JSON.stringify(line))).toEqual({ taken: true });
  }
  async function message(content: object): Promise<void> {
    const body = { trustDomain: TRUST_DOMAIN, sequence: sequence++, atMs: now(), ...content };
    await accept({ facts: await signStatement(body, { type: FACTS_TYPE, signer: factSigner }) });
  }
  let bundles = 0;
  async function publish(): Promise<void> {
    const bundle = { ...inner.decision.bundle, sequence: ++bundles };
    await accept({
      policy: await signStatement(bundle, { type: POLICY_TYPE, signer: policySigner }),
    });
  }
  const facts = KINDS.flatMap((kind): Fact[] => [...inner.decision.facts.byKind(kind)]);
  await message({ kind: 'snapshot', facts });
  await publish();

  const origin = 'log.bank.example/outer';
  const log: Log = await openLog({
    origin,
    signer: ed25519NoteSigner({
      name: origin,
      privateKey: generateKeyPairSync('ed25519').privateKey,
    }),
    disk: nodeDisk(join(inner.folder, 'outer')),
    now,
  });
  const workload = await createTestWorkload(inner.authority, OUTER_ID, 3600, Date.now);
  const config: PointConfig = {
    name: 'outer',
    kind: 'gateway',
    listeners: [
      {
        name: 'partners',
        address: { host: '127.0.0.1', port: 0 },
        tls: 'required',
        clientAuthoritiesPem: [encodePem([inner.partnerCa.certificate])],
        routes: [
          {
            surface: 'accounts',
            prefix: '/accounts-api',
            via: {
              point: 'edge',
              address: { host: '127.0.0.1', port: inner.ports.mesh },
              spiffeId: expectedInner,
            },
          },
        ],
      },
    ],
  };
  const alarms: PointAlarm[] = [];
  const point = createEnforcementPoint({
    name: 'outer',
    spiffeId: OUTER_ID,
    trustDomain: TRUST_DOMAIN,
    config,
    replica,
    log,
    seal: (event) => event,
    workload,
    transactionSigner: {
      kid: 'txn-outer',
      jwk,
      sign: (bytes) => sign(null, bytes, transactionKeys.privateKey),
    },
    dataFolder: inner.folder,
    now,
    onAlarm: (alarm) => void alarms.push(alarm),
  });
  const [address] = await point.listen();
  const at = { port: address?.port ?? 0, expect: OUTER_ID };
  const outer: Outer = {
    inner,
    point,
    replica,
    alarms,
    workload,
    feed: (puts) => message({ kind: 'change', puts, removes: [] }),
    publish,
    async events() {
      const { entries } = await log.read(0, { count: 1000, bytesMax: 4_000_000 });
      return entries.map(decodeEvent);
    },
    at,
    call: (options) => inner.call({ ...options, at }),
    async close() {
      await point.close({ graceMs: 0 });
      await workload.close();
      await replica.close();
      await log.close();
      await inner.close();
    },
  };
  opened.push(outer);
  return outer;
}

async function credentials({ inner }: Outer) {
  const as = await inner.partner('ledgerly');
  return { as, token: inner.token({ cnf: { 'x5t#S256': as.thumbprint } }) };
}

test('one transaction is decided at every hop, in the name of who began it', async () => {
  const outer = await openOuter();
  const { inner } = outer;
  const got = await outer.call({ ...(await credentials(outer)) });
  expect([got.status, got.body]).toEqual([200, '{"ok":true}']);
  const atEdge = (await outer.events()).find((event) => event.kind === 'decision');
  const beside = await inner.event((event) => event.kind === 'decision');
  expect(atEdge).toMatchObject({ subject: LEDGERLY, effect: 'permit', evidence: 'E1' });
  expect(beside).toMatchObject({ subject: LEDGERLY, caller: OUTER_ID, effect: 'permit' });
  expect(beside.kind === 'decision' && beside.txn).toBe(atEdge?.kind === 'decision' && atEdge.txn);
  expect(beside.origin).not.toBe(atEdge?.origin);
  // The access token stayed at the edge; the answer names the edge's event alone.
  const seen = inner.resource.seen[0];
  expect(seen?.headers['authorization']).toBeUndefined();
  expect(seen?.headers['txn-token']).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  expect(got.headers['countersign-event-id']).toBe(atEdge?.id);
});

test('the inner point refuses what it does not permit itself, whatever the outer one said', async () => {
  const outer = await openOuter();
  await outer.inner.publish({}, [
    { id: 'none', text: '@id("none") permit (principal is Human, action, resource);' },
  ]);
  const got = await outer.call({ ...(await credentials(outer)) });
  expect(got.status).toBe(403);
  expect(outer.inner.resource.seen).toHaveLength(0);
  const outcome = (await outer.events()).find((event) => event.kind === 'outcome');
  expect(outcome).toMatchObject({ status: 403, forwarded: true });
});

test('a server that is not the expected point gets nothing, and raises an alarm', async () => {
  const outer = await openOuter(`spiffe://${TRUST_DOMAIN}/workload/countersign/other`);
  const got = await outer.call({ ...(await credentials(outer)) });
  expect(got.status).toBe(502);
  expect(outer.alarms).toMatchObject([{ alarm: 'upstream-unauthenticated', count: 1 }]);
  const outcome = (await outer.events()).find((event) => event.kind === 'outcome');
  expect(outcome).toMatchObject({ forwarded: false, failure: 'upstream-unauthenticated' });
  expect(outer.inner.resource.seen).toHaveLength(0);
  expect(outer.inner.point.stats().exchanges).toBe(0);
});

test('a signed fact reaches an open stream through both hops', async () => {
  const outer = await openOuter();
  const { inner } = outer;
  const closed = Promise.withResolvers<void>();
  inner.resource.handler = (_request, response) => {
    response.on('close', () => closed.resolve());
    response.write('data: 1\n\n');
  };
  const streaming = outer.call({ ...(await credentials(outer)), path: '/accounts-api/events' });
  const broken = expect(streaming).rejects.toMatchObject({ code: 'ECONNRESET' });
  await inner.event((event) => event.kind === 'outcome');
  while (!(await outer.events()).some(({ kind }) => kind === 'outcome')) {
    await new Promise(setImmediate);
  }
  const atMs = inner.now();
  const untilMs = atMs + 60_000;
  await outer.feed([
    { kind: 'revocation', target: 'session', value: 'session-1', reason: 'x', atMs, untilMs },
  ]);
  await Promise.all([broken, closed.promise]);
  const closure = await inner.event((event) => event.kind === 'closure');
  expect(closure).toMatchObject({ cause: 'client-abort' });
});

test('in shadow both hops let everything through, and neither speaks for anybody', async () => {
  const outer = await openOuter(POINT_ID, 'shadow');
  const { inner } = outer;
  const headers = { 'X-Forwarded-User': 'chief' };
  const got = await outer.call({ headers, path: '/accounts-api/a/../b' });
  expect([got.status, got.headers['countersign-event-id']]).toEqual([200, undefined]);
  const [seen] = inner.resource.seen;
  expect([seen?.target, seen?.headers['x-forwarded-user'], seen?.headers['txn-token']]).toEqual([
    '/accounts-api/a/../b',
    'chief',
    undefined,
  ]);
  const beside = await inner.event((event) => event.kind === 'decision');
  expect(beside).toMatchObject({
    enforced: false,
    reason: 'transaction-token-missing',
    caller: OUTER_ID,
  });
});

test('a WebSocket goes through both hops, and a renewed SVID is used for the next', async () => {
  const outer = await openOuter();
  const { inner } = outer;
  const { as, token } = await credentials(outer);
  inner.resource.server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {});
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    socket.pipe(socket);
  });
  const echo = async () => {
    const socket = await inner.tls({ as, at: outer.at });
    socket.write(
      `GET /accounts-api/socket HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    let all = '';
    socket.on('data', (chunk: Buffer) => {
      all += chunk;
    });
    while (!all.includes('\r\n\r\n')) await once(socket, 'data');
    socket.write('ping');
    while (!all.endsWith('ping')) await once(socket, 'data');
    socket.end();
    await once(socket, 'close');
  };
  await echo();
  await outer.workload.rotate();
  await echo();
  const decisions = (await inner.events()).filter((event) => event.kind === 'decision');
  expect(decisions.map((event) => event.kind === 'decision' && event.caller)).toEqual([
    OUTER_ID,
    OUTER_ID,
  ]);
});
