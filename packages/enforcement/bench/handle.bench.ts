import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { createDecisionPoint, type DecisionPoint } from '@countersign/decision';
import { createEnforcementPoint, type Exchange } from '@countersign/enforcement';
import { ed25519NoteSigner, nodeDisk, openLog } from '@countersign/ledger';
import type { Decision, Fact, Surface } from '@countersign/model';
import { buildBundle, generateSchema } from '@countersign/policy';
import { signRequest, type Workload } from '@countersign/sdk';
import { createX509Authority, encodePem, parseSpiffeId, softwareSigner } from '@countersign/spiffe';

// What the five verbs cost a request, without network: a verified token from its cache, a route out of
// many, a decision, a transaction token minted, two events that are durable before the answer leaves. Then the same
// for requests that their caller signed (P-256), with content of 1 KiB that is compared with its digest.
// Run: node --conditions=@countersign/source packages/enforcement/bench/handle.bench.ts [folder]

const SECONDS = 3;
const IN_FLIGHT = 64;
const TRUST_DOMAIN = 'bank.example';
const POINT_ID = `spiffe://${TRUST_DOMAIN}/workload/countersign/edge`;
const PARTNER = `spiffe://${TRUST_DOMAIN}/partner/ledgerly`;
const THUMBPRINT = 'x'.repeat(43);

const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'countersign-bench-'));
const issuer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const transaction = generateKeyPairSync('ed25519');
const authority = await createX509Authority({
  trustDomain: TRUST_DOMAIN,
  signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  now: Date.now,
});
const caller = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { chain } = await authority.issueSvid({
  spiffeId: parseSpiffeId(PARTNER),
  publicKey: caller.publicKey,
  ttlSeconds: 3600,
});
const CONTENT = Buffer.alloc(1024, 'c');
const surface: Surface = {
  name: 'accounts',
  namespace: 'Accounts',
  title: 'Accounts',
  owner: 'bench',
  criticality: 'high',
  regulations: [],
  dataClasses: [],
  persons: [],
  mode: 'enforce',
  upstream: { kind: 'unix', path: 'none.sock' },
  audience: 'https://api.bank.example/accounts',
  factsMaxAgeSeconds: 86_400,
  evidenceLevel: 'E1',
  identityHeaders: ['X-Customer-Id'],
  operations: Array.from({ length: 100 }, (_, index) => ({
    id: `Operation${index}`,
    method: index % 2 ? 'POST' : 'GET',
    path: `/group${index >> 1}/{AccountId}/items/{ItemId}`,
    parameters: [
      { name: 'AccountId', entityType: 'Account' },
      { name: 'ItemId', entityType: 'Item' },
    ],
    scopes: ['accounts'],
    isStateChanging: index % 2 === 1,
  })),
};
const config = {
  name: 'edge',
  kind: 'gateway',
  listeners: [
    {
      name: 'partners',
      address: { host: '127.0.0.1', port: 0 },
      tls: 'required',
      clientAuthoritiesPem: [encodePem([authority.certificate])],
      routes: [{ surface: 'accounts', prefix: '/accounts-api' }],
    },
  ],
} as const;
const engine = createCedarEngine({ startThread: startNodeThread });
const real = createDecisionPoint({ engine });
const jwk = (key: KeyObject) => key.export({ format: 'jwk' }) as Record<string, string>;
const puts: Fact[] = [
  {
    kind: 'subject',
    id: PARTNER,
    enabled: true,
    owner: 'bench',
    attributes: {},
    parents: [],
    certificates: [THUMBPRINT],
  },
  {
    kind: 'issuer-key',
    issuer: 'https://issuer',
    kid: 'k',
    jwk: jwk(issuer.publicKey),
    notAfterMs: Date.now() + 86_400_000,
  },
];
real.facts.apply({ sequence: 1, atMs: Date.now(), puts, removes: [] });
await real.install(
  buildBundle(
    {
      config: {
        points: [config],
        record: { shard: 'quarter', localKeep: { count: 3, unit: 'month' } },
      } as unknown as Parameters<typeof buildBundle>[0]['config'],
      surfaces: [surface],
      policies: [
        {
          id: 'all',
          text: '@id("all") permit (principal is Partner, action, resource);',
          file: 'all.cedar',
        },
      ],
      schema: generateSchema([surface]),
    },
    { trustDomain: TRUST_DOMAIN, sequence: 1, now: Date.now },
  ),
);
const permit: Decision = {
  effect: 'permit',
  reason: 'policy-permits',
  policies: ['all'],
  errors: [],
  obligations: [],
  policyVersion: real.bundle?.version ?? '',
  factSequence: 1,
  microseconds: 1,
};
/** The point's own work alone: a decision that costs nothing. */
const free: DecisionPoint = Object.create(real, { decide: { value: () => permit } });

const seconds = Math.floor(Date.now() / 1000);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const input = `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })}.${part({
  iss: 'https://issuer',
  aud: surface.audience,
  sub: PARTNER,
  jti: 'j',
  sid: 's',
  scope: 'accounts payments',
  iat: seconds,
  exp: seconds + 3600,
  cnf: { 'x5t#S256': THUMBPRINT },
})}`;
const signature = sign('sha256', Buffer.from(input), {
  key: issuer.privateKey,
  dsaEncoding: 'ieee-p1363',
});
const token = `${input}.${signature.toString('base64url')}`;

async function measure(name: string, point: DecisionPoint, index: number): Promise<void> {
  const origin = `bench.example/${name.replaceAll(/\W+/g, '-')}-${index}`;
  const log = await openLog({
    origin,
    signer: ed25519NoteSigner({
      name: origin,
      privateKey: generateKeyPairSync('ed25519').privateKey,
    }),
    disk: nodeDisk(join(folder, String(index))),
    now: Date.now,
  });
  // A signature as old as its start would not count: the point was there before its callers.
  let isStarting = true;
  const enforcement = createEnforcementPoint({
    name: 'edge',
    spiffeId: POINT_ID,
    trustDomain: TRUST_DOMAIN,
    config,
    replica: { point, onChange: () => () => {} },
    log,
    seal: (event) => event,
    // No connection is made, so nobody looks at it.
    workload: {
      spiffeId: POINT_ID,
      chain: [],
      keyPem: '',
      notAfterMs: 0,
      authorities: [],
      onRotate: () => () => {},
    } as unknown as Workload,
    transactionSigner: {
      kid: 't',
      jwk: {},
      sign: (bytes) => sign(null, bytes, transaction.privateKey),
    },
    dataFolder: folder,
    now: () => Date.now() - (isStarting ? 10_000 : 0),
    onAlarm: ({ alarm, detail }) => console.error(alarm, detail),
  });
  isStarting = false;
  let done = 0;
  const one = (method: string, at: number, signed?: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const exchange: Exchange = {
        head: {
          method,
          target: targetOf(at),
          rawHeaders: signed ?? HEADERS,
        },
        connection: CONNECTION,
        isUpgrade: false,
        isGone: false,
        content: {
          hold: () => Promise.resolve({ kind: 'held', bytes: CONTENT }),
          watch: () => Promise.resolve('gone'),
        },
        answer({ status, body }) {
          throw new Error(`${status} ${body}`);
        },
        forward(_plan, observer) {
          void Promise.resolve(observer.onHead(200, 1024)).then(() => {
            observer.onEnd('complete', 1024);
            done++;
            resolve();
          });
        },
        cut: () => {},
      };
      void enforcement.handle(exchange);
    });
  const run = async (method: string, milliseconds: number) => {
    const end = performance.now() + milliseconds;
    const lane = async (lane: number) => {
      for (let at = lane; performance.now() < end; at++) await one(method, at);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, (_, index) => lane(index)));
  };
  for (const method of ['GET', 'POST']) {
    await run(method, 1000);
    done = 0;
    const cpu = process.cpuUsage();
    const started = performance.now();
    await run(method, SECONDS * 1000);
    const { user, system } = process.cpuUsage(cpu);
    const elapsed = (performance.now() - started) / 1000;
    console.log(
      `${name}, ${method}: ${Math.round(done / elapsed)} requests/s, ${((user + system) / done).toFixed(1)} µs CPU a request`,
    );
  }
  // Signed beforehand, because the point only verifies; each is good once.
  const signed = Array.from({ length: SIGNED }, (_, at) => signedHeaders(at));
  done = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < SIGNED; at = next++) await one('POST', at, signed[at]);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - started) / 1000;
  console.log(
    `${name}, signed POST: ${Math.round(done / elapsed)} requests/s, ${((user + system) / done).toFixed(1)} µs CPU a request`,
  );
  await enforcement.close({ graceMs: 0 });
  await log.close();
}

const CONNECTION: Exchange['connection'] = {
  listener: 'partners',
  isSecure: true,
  ip: '127.0.0.1',
  peer: {
    kind: 'partner',
    thumbprint: THUMBPRINT,
    names: [THUMBPRINT],
    notAfterMs: Date.now() + 86_400_000,
    leaf: chain[0] as Uint8Array,
  },
  isOwnAuthority: () => true,
};
const HEADERS = [
  'Host',
  'api.bank.example',
  'User-Agent',
  'bench/1',
  'Accept',
  'application/json',
  'Accept-Encoding',
  'gzip',
  'X-Request-Id',
  '0123456789',
  'X-Forwarded-For',
  '10.0.0.1',
  'Authorization',
  `Bearer ${token}`,
];

const SIGNED = 5000;

function targetOf(at: number): string {
  return `/accounts-api/group${at % 50}/22289/items/7?page=1`;
}

function signedHeaders(at: number): readonly string[] {
  const pairs: [string, string][] = [['Content-Length', String(CONTENT.length)]];
  for (let index = 0; index < HEADERS.length; index += 2) {
    pairs.push([HEADERS[index] as string, HEADERS[index + 1] as string]);
  }
  const headers = Object.fromEntries(pairs);
  const url = `https://api.bank.example${targetOf(at)}`;
  const signature = signRequest(
    { method: 'POST', url, headers, body: CONTENT },
    { key: caller.privateKey },
  );
  return [...pairs, ...Object.entries(signature)].flat();
}

await measure('without the decision', free, 0);
await measure('with the decision', real, 1);
await engine.close();
rmSync(folder, { recursive: true });
