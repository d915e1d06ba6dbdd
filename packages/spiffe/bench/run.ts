import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import {
  createJwtIssuer,
  createWorkloadClient,
  createX509Authority,
  parseSpiffeId,
  softwareSigner,
  verifyJwtSvid,
  verifyX509Svid,
} from '@countersign/spiffe';
import { SPIRE_AGENT, SPIRE_SERVER, startSpire } from '../test/slow/spire.ts';
import { run } from '../test/slow/tools.ts';
import { wire } from '../test/wire.ts';
import { cpuSecondsOf, latencies, perCpuSecond, SECONDS, say } from './figures.ts';
import { measureRevocation } from './measure-revocation.ts';
import { issueByAgent } from './measure-spire.ts';

// What issuing, verifying and handing out cost here, and beside it SPIRE, where `.ci/run` has built it.

const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const trustDomain = 'bank.example';
const spiffeId = parseSpiffeId(`spiffe://${trustDomain}/workload/payments/api`);
const CALLS = Math.max(50, Math.round(150 * SECONDS));

console.log(`${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, P-256\n`);

const authority = await createX509Authority({
  trustDomain,
  signer: softwareSigner(p256()),
  now: Date.now,
});
const { publicKey } = p256();
const issue = () => authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
const { chain } = await issue();
await perCpuSecond('issue an X.509-SVID, given the public key', issue, { aim: 12_000 });
await perCpuSecond(
  'make a key, issue, write the key as PKCS#8',
  () => {
    const keys = p256();
    keys.privateKey.export({ format: 'der', type: 'pkcs8' });
    return authority.issueSvid({ spiffeId, publicKey: keys.publicKey, ttlSeconds: 3600 });
  },
  { aim: 5000 },
);
const x509 = new Map([[trustDomain, [authority.certificate]]]);
await perCpuSecond('verify an X.509-SVID against one authority', () =>
  verifyX509Svid(chain, { bundles: x509, now: Date.now }),
);

const issuer = createJwtIssuer({ trustDomain, signer: softwareSigner(p256()), now: Date.now });
const request = { spiffeId, audiences: ['ledger'], ttlSeconds: 300 };
const { token } = await issuer.issueSvid(request);
await perCpuSecond('issue a JWT-SVID', () => issuer.issueSvid(request));
const jwt = new Map([[trustDomain, [issuer.authority]]]);
await perCpuSecond('verify a JWT-SVID', () =>
  verifyJwtSvid(token, { audience: 'ledger', bundles: jwt, now: Date.now }),
);

console.log('\nfirst X.509-SVID of a new connection, as a client waits for it:');
const ours = spawn(process.execPath, [
  '--conditions=@countersign/source',
  new URL('serve-workloads.ts', import.meta.url).pathname,
]);
ours.stderr.pipe(process.stderr);
const [endpoint] = (await once(createInterface({ input: ours.stdout }), 'line')) as [string];
await firstSvid('here (a new key and SVID for each)', endpoint, ours.pid ?? 0);
const closed = once(ours, 'close');
ours.stdin.end();
await closed;

console.log();
await measureRevocation(Math.max(20, Math.round(500 * SECONDS)));

if (existsSync(SPIRE_SERVER) && existsSync(SPIRE_AGENT)) await besideSpire();
else console.log(`\nSPIRE is not measured: found no ${SPIRE_SERVER} (made by .ci/run --long)`);

async function besideSpire(): Promise<void> {
  console.log('\nSPIRE 1.13.3, the same client:');
  const spire = await startSpire('spire.example');
  try {
    await spire.register('/workload/api', 3600);
    await expectIdentity(spire.endpoint);
    await firstSvid('SPIRE agent (attests; SVID from its cache)', spire.endpoint, spire.agentPid);
    await mint(spire);
    await issueByAgent(spire, Math.max(50, Math.round(200 * SECONDS)));
  } finally {
    await spire.stop();
  }
}

/** SPIRE's own path to a certificate for a given key: its API, with a request that it checks and records. */
async function mint(spire: Awaited<ReturnType<typeof startSpire>>): Promise<void> {
  const { stdout: csr } = await run(
    'openssl',
    [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', '/dev/null', '-subj', '/', '-outform', 'DER'],
      ...['-addext', 'subjectAltName=URI:spiffe://spire.example/workload/api'],
    ],
    { encoding: 'buffer' },
  );
  const asked = wire([1, csr as unknown as Uint8Array]);
  const session = connect('http://localhost', {
    createConnection: () => netConnect(spire.serverSocket),
  });
  const once = () => call(session, '/spire.api.server.svid.v1.SVID/MintX509SVID', asked);
  for (let count = 0; count < 50; count += 1) await once();
  const before = cpuSecondsOf(spire.serverPid);
  const until = performance.now() + SECONDS * 1000;
  let count = 0;
  while (performance.now() < until) {
    await Promise.all(Array.from({ length: 8 }, once));
    count += 8;
  }
  const seconds = cpuSecondsOf(spire.serverPid) - before;
  say(
    'SPIRE server: mint an X.509-SVID by its API',
    String(Math.round(count / seconds)),
    'per CPU-second (with gRPC, the check of a signed request, an audit line)',
  );
  session.destroy();
}

/** One unary call of gRPC. */
async function call(session: ClientHttp2Session, path: string, asked: Buffer): Promise<void> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(asked.length, 1);
  stream.end(Buffer.concat([prefix, asked]));
  let length = 0;
  for await (const chunk of stream) length += (chunk as Buffer).length;
  if (length < 300) throw new Error(`found an answer of ${length} bytes, expected an svid`);
}

async function firstSvid(what: string, endpoint: string, pid: number): Promise<void> {
  const once = async () => {
    const client = createWorkloadClient({ endpoint, random: Math.random });
    await client.fetchX509Svid();
    client.close();
  };
  const before = cpuSecondsOf(pid);
  await latencies(what, once, CALLS);
  const seconds = cpuSecondsOf(pid) - before;
  say('', `${((seconds * 1000) / (CALLS + 10)).toFixed(2)} ms`, 'of CPU each, in its process');
}

async function expectIdentity(endpoint: string): Promise<void> {
  const client = createWorkloadClient({ endpoint, random: Math.random });
  for (;;) {
    const has = await client.fetchX509Svid().then(
      () => true,
      () => false,
    );
    if (has) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  client.close();
}
