import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import type { RunningBank } from '@countersign/cli';
import { AUDIENCES, type Caller, makePayment, openCaller } from '@countersign/example-bank';
import { openKeyring } from '@countersign/identity';
import type { AlarmEvent, Event } from '@countersign/model';
import { buildBundle, checkRepository } from '@countersign/policy';
import {
  createX509Authority,
  parseSpiffeId,
  serverTlsOptions,
  softwareSigner,
} from '@countersign/spiffe';
import {
  FACTS_TYPE,
  localSigner,
  POLICY_TYPE,
  type StatementSigner,
  signStatement,
  verifyStatement,
} from '@countersign/state';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyLogs } from './support/command-line.ts';
import { makeFolder } from './support/data-folder.ts';
import { environmentOf, prepareBank, startBank, tokenOf } from './support/prepared-bank.ts';
import { logOf, readLog } from './support/read-log.ts';
import { takenOver } from './support/taken-over.ts';
import { until } from './support/until.ts';

const POINTS = ['edge', 'payments', 'accounts', 'core'] as const;
/** What accounts' facts may be old; the other surfaces' stay good for the whole of this file. */
const LIMIT_SECONDS = 10;
const READ = '/accounts-api/accounts/22289';
const LIMIT_MS = 90_000;

const folder = makeFolder('away');
const data = folder.path;
let bank: RunningBank;
let ledgerly: Caller;

beforeAll(async () => {
  const longer = { find: /factsMaxAge: 30s/, put: 'factsMaxAge: 1h' };
  await prepareBank(data, [
    {
      file: 'surfaces/accounts.yaml',
      find: /factsMaxAge: 60s/,
      put: `factsMaxAge: ${LIMIT_SECONDS}s`,
    },
    { file: 'surfaces/payments.yaml', ...longer },
    { file: 'surfaces/core.yaml', ...longer },
    // Nothing here is about credentials that end.
    { file: 'countersign.yaml', find: /svidTtl: 2m/, put: 'svidTtl: 1h' },
  ]);
  bank = await startBank(data);
  ledgerly = openCaller(environmentOf(bank), 'ledgerly');
}, 240_000);

afterAll(async () => {
  await ledgerly?.close();
  await bank?.stop();
  const left = folder.processes();
  await folder.remove();
  expect(left).toEqual([]);
}, 60_000);

describe('with the authority killed', () => {
  const accounts = { scope: 'accounts', resource: AUDIENCES.accounts };
  const payments = { scope: 'payments', resource: AUDIENCES.payments };

  test('reads go on to the surface’s limit and no longer, other surfaces go on, and all of it is recorded', async () => {
    const token = await tokenOf(ledgerly, accounts);
    const payToken = await tokenOf(ledgerly, payments);
    const read = () => ledgerly.call({ path: READ, token });
    expect((await read()).status).toBe(200);
    const paid = await makePayment(ledgerly, payToken, { account: '22289', amount: '1.01' });
    expect(paid.payment?.status).toBe(201);
    const path = `/payments-api/domestic-payments/${paid.paymentId}`;
    const follow = { path, token: payToken, isSigned: true };

    const killedMs = Date.now();
    await killed('authority');
    // What a caller holds is still good; new tokens there are none.
    expect((await read()).status).toBe(200);
    await expect(ledgerly.obtainToken(accounts)).rejects.toThrow();

    // A point that starts now has its own disk and nobody to ask.
    await killed('payments');
    await bank.restart('payments');
    expect((await ledgerly.call(follow)).status).toBe(200);

    const first = await until(async () => {
      const answer = await read();
      return answer.status === 200 ? undefined : answer;
    }, LIMIT_MS);
    expect(first.status).toBe(503);
    // Each hop has its own copy of the facts, and an inner one may be the first to refuse.
    const refused = await until(async () => {
      const answer = await read();
      const own = await durable('edge', answer.eventId);
      return own.some((event) => event.kind === 'decision' && event.effect === 'deny') && answer;
    }, LIMIT_MS);
    const servedMs = Date.now() - killedMs;
    console.log(
      `accounts refused ${(servedMs / 1000).toFixed(1)} s after the authority was killed`,
    );
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toMatch(/^\d+$/);
    expect((await ledgerly.call(follow)).status).toBe(200);
    for (let again = 0; again < 10; again++) expect((await read()).status).toBe(503);

    const events = await durable('edge', refused.eventId);
    expect(events.find(({ kind }) => kind === 'decision')).toMatchObject({
      effect: 'deny',
      reason: 'facts-stale',
      enforced: true,
      surface: 'accounts',
    });
    expect(events.find(({ kind }) => kind === 'outcome')).toMatchObject({
      status: 503,
      forwarded: false,
    });
    const alarms = await alarmsOf('edge');
    expect(alarms.map(({ alarm }) => alarm)).toContain('facts-stale');

    const sizes = new Map<string, number>();
    for (const name of POINTS) sizes.set(name, (await readLog(logOf(data, name))).length);
    await bank.restart('authority');
    await until(async () => (await read()).status === 200, LIMIT_MS);
    expect((await ledgerly.obtainToken(accounts)).kind).toBe('token');
    await until(async () => {
      const { points } = await bank.admin.call<{ points: { name: string; logSize: number }[] }>(
        'GET',
        '/v1/status',
      );
      return points.every(({ name, logSize }) => logSize >= (sizes.get(name) ?? 0));
    }, LIMIT_MS);
    const collected = await readLog(join(data, 'authority', 'logs', 'edge'));
    expect(collected.filter(({ id }) => id === refused.eventId)).not.toEqual([]);
  }, 300_000);

  test('whoever takes its place without its key is not spoken to', async () => {
    await killed('authority');
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const rogueCa = await createX509Authority({
      trustDomain: 'bank.example',
      signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
      now: Date.now,
    });
    const { chain } = await rogueCa.issueSvid({
      // It calls itself what the authority is called, in the trust domain's name.
      spiffeId: parseSpiffeId('spiffe://bank.example/workload/countersign/authority'),
      publicKey: own.publicKey,
      ttlSeconds: 3600,
    });
    const keyPem = own.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    const foreign = await listenAs({ chain, keyPem }, bank.ports.control);
    await until(() => foreign.failed >= POINTS.length, LIMIT_MS);
    await foreign.close();
    expect(foreign.received).toBe('');

    // One of the bank's own workloads, taken over: its certificate is good, and it is not the authority.
    const workload = await listenAs(await takenOver(data, 'payments-api'), bank.ports.control);
    await until(() => workload.failed >= POINTS.length, LIMIT_MS);
    await workload.close();
    expect(workload.received).toBe('');

    await bank.restart('authority');
    await until(async () => {
      const token = await tokenOf(ledgerly, accounts);
      return (await ledgerly.call({ path: READ, token })).status === 200;
    }, LIMIT_MS);
  }, 300_000);
});

describe('what lies in a point’s replica is believed only when the authority said it last', () => {
  /** A copy of each point's replica before the session was revoked and the bundle replaced. */
  const earlier = join(data, 'earlier');

  beforeAll(async () => {
    for (const name of POINTS) cpSync(replicaOf(name), join(earlier, name), { recursive: true });
    const before = await bank.admin.call<{ factSequence: number; bundleSequence: number }>(
      'GET',
      '/v1/status',
    );
    await bank.admin.call('POST', '/v1/revocations', {
      target: 'subject',
      value: 'spiffe://bank.example/partner/tempo',
      reason: 'left the bank',
    });
    const file = join(bank.repositoryFolder, 'policies', 'guardrails.cedar');
    writeFileSync(
      file,
      `${readFileSync(file, 'utf8')}\n@id("tempo-left")\nforbid (principal == Partner::"spiffe://bank.example/partner/tempo", action, resource);\n`,
    );
    await bank.admin.call('POST', '/v1/apply');
    for (const name of POINTS) {
      await until(() => {
        const marks = JSON.parse(readFileSync(join(replicaOf(name), 'marks.json'), 'utf8'));
        return (
          marks.factSequence > before.factSequence && marks.bundleSequence > before.bundleSequence
        );
      }, LIMIT_MS);
    }
    await killed('authority');
    for (const name of POINTS) await killed(name);
  }, 240_000);

  test('facts that are older, of another key, of another trust domain or signed as policy: an alarm, and no service', async () => {
    const keys = await keyring();
    const stranger = localSigner(generateKeyPairSync('ed25519').privateKey, keys.facts.kid);
    const snapshotOf = async (
      name: string,
      signer: StatementSigner,
      trustDomain = 'bank.example',
    ) =>
      `${JSON.stringify({
        facts: await signStatement(
          { ...heldFacts(name), trustDomain, atMs: Date.now(), sequence: 1_000_000 },
          { type: FACTS_TYPE, signer },
        ),
      })}\n`;
    const faults: Readonly<Record<(typeof POINTS)[number], [string, () => Promise<void> | void]>> =
      {
        edge: [
          'sequence-older',
          () => {
            // Signed by the right key, and true once: a session that was revoked would be good again.
            for (const file of ['facts.ndjson', 'beat.ndjson']) {
              cpSync(join(earlier, 'edge', file), join(replicaOf('edge'), file));
            }
          },
        ],
        payments: [
          'signature-invalid',
          async () => replaceFacts('payments', await snapshotOf('payments', stranger)),
        ],
        accounts: [
          'trust-domain-foreign',
          async () =>
            replaceFacts('accounts', await snapshotOf('accounts', keys.facts, 'other.example')),
        ],
        core: [
          'signature-invalid',
          async () => replaceFacts('core', await snapshotOf('core', keys.policy)),
        ],
      };
    const kept = join(data, 'kept');
    for (const name of POINTS) cpSync(replicaOf(name), join(kept, name), { recursive: true });
    for (const name of POINTS) await faults[name][1]();
    for (const name of POINTS) await bank.restart(name);
    for (const name of POINTS) {
      const [refusal] = faults[name];
      const { status, id } = await knock(name);
      expect([name, status]).toEqual([name, 503]);
      const decision = (await durable(name, id)).find(({ kind }) => kind === 'decision');
      expect(decision).toMatchObject({ effect: 'deny', reason: 'facts-stale', enforced: true });
      const alarms = await alarmsOf(name);
      expect(alarms.filter(({ detail }) => detail.startsWith(refusal))).not.toEqual([]);
    }
    // The same folders, as they were before somebody touched them, are believed: it was the lines.
    for (const name of POINTS) {
      await killed(name);
      rmSync(replicaOf(name), { recursive: true });
      cpSync(join(kept, name), replicaOf(name), { recursive: true });
    }
    await bank.restart('core');
    expect((await knock('core')).status).toBe(401);
    await killed('core');
  }, 300_000);

  test('a bundle that is older, of another key, of another trust domain or signed as facts: an alarm, and no start', async () => {
    const keys = await keyring();
    const stranger = localSigner(generateKeyPairSync('ed25519').privateKey, keys.policy.kid);
    const bundleOf = async (name: string, signer: StatementSigner) =>
      policyLine({ ...heldBundle(name, keys.policy), sequence: 1_000_000 }, signer);
    const put = (name: string, line: string) =>
      writeFileSync(join(replicaOf(name), 'policy.ndjson'), line);
    put('edge', readFileSync(join(earlier, 'edge', 'policy.ndjson'), 'utf8'));
    put('payments', await bundleOf('payments', stranger));
    put('accounts', await foreignBundle(keys.policy));
    put('core', await bundleOf('core', keys.facts));
    const refusals = {
      edge: 'sequence-older',
      payments: 'signature-invalid',
      accounts: 'trust-domain-foreign',
      core: 'signature-invalid',
    } as const;
    const started = await Promise.allSettled(POINTS.map((name) => bank.restart(name)));
    for (const [index, name] of POINTS.entries()) {
      expect(started[index]).toMatchObject({
        status: 'rejected',
        reason: { message: expect.stringMatching(/no policy bundle came/) },
      });
      const alarms = await alarmsOf(name);
      expect(alarms.at(-1)?.detail).toMatch(new RegExp(`^${refusals[name]}: .*`));
    }
  }, 300_000);

  test('when the authority is back, every point gets what is true, and serves', async () => {
    await bank.restart('authority');
    await Promise.all(POINTS.map((name) => bank.restart(name)));
    await until(async () => {
      const token = await tokenOf(ledgerly, { scope: 'accounts', resource: AUDIENCES.accounts });
      return (await ledgerly.call({ path: READ, token })).status === 200;
    }, LIMIT_MS);
    const tempo = openCaller(environmentOf(bank), 'tempo');
    const answer = await tempo.obtainToken({ scope: 'accounts', resource: AUDIENCES.accounts });
    await tempo.close();
    expect(answer.kind).toBe('refused');
    expect((await verifyLogs(data)).logs.filter(({ ok }) => !ok)).toEqual([]);
  }, 300_000);
});

/** Kills a part as a power cut would, and waits until it is gone. */
async function killed(name: string): Promise<void> {
  const child = bank.children.get(name);
  child?.kill();
  await child?.exited;
}

function replicaOf(name: string): string {
  return join(data, 'points', name, 'replica');
}

/** What the last line of the facts that a point keeps says, believed by nobody here. */
function heldFacts(name: string): Record<string, unknown> {
  const [first = ''] = readFileSync(join(replicaOf(name), 'facts.ndjson'), 'utf8').split('\n');
  const [, payload = ''] = String(JSON.parse(first).facts).split('.');
  const held = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  return {
    ...held,
    kind: 'snapshot',
    facts: held.facts ?? held.puts,
    puts: undefined,
    removes: undefined,
  };
}

function heldBundle(name: string, { publicJwk }: StatementSigner): object {
  const line = JSON.parse(readFileSync(join(replicaOf(name), 'policy.ndjson'), 'utf8'));
  return verifyStatement(line.policy, { type: POLICY_TYPE, keys: [publicJwk] }) as object;
}

async function policyLine(bundle: object, signer: StatementSigner): Promise<string> {
  return `${JSON.stringify({ policy: await signStatement(bundle, { type: POLICY_TYPE, signer }) })}\n`;
}

/** The same repository as another bank would sign it, if it had our policy key. */
async function foreignBundle(signer: StatementSigner): Promise<string> {
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const { repository } = await checkRepository(bank.repositoryFolder, { engine, now: Date.now });
    if (!repository) throw new Error('the working copy has errors');
    const options = { trustDomain: 'other.example', sequence: 1_000_000, now: Date.now };
    return await policyLine(buildBundle(repository, options), signer);
  } finally {
    await engine.close();
  }
}

function replaceFacts(name: string, line: string): void {
  writeFileSync(join(replicaOf(name), 'facts.ndjson'), line);
}

/** The authority's keys, as somebody has them who broke into it. */
function keyring() {
  return openKeyring({
    folder: join(data, 'authority', 'keys'),
    passphrase: readFileSync(join(data, 'authority', 'passphrase'), 'utf8').trim(),
  });
}

/** One request without any credentials, to whichever surface the point fronts. */
async function knock(name: (typeof POINTS)[number]): Promise<{ status: number; id: string }> {
  const path = {
    edge: READ,
    payments: '/payments-api/domestic-payments/x',
    accounts: READ,
    core: '/core/accounts/22289',
  }[name];
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false, minVersion: 'TLSv1.3' } });
  try {
    const answer = await request(`https://127.0.0.1:${bank.ports[name]}${path}`, { dispatcher });
    await answer.body.dump();
    return { status: answer.statusCode, id: String(answer.headers['countersign-event-id']) };
  } finally {
    await dispatcher.destroy();
  }
}

/** The durable events under one id in a point's own log. */
async function durable(point: string, id: string | undefined): Promise<readonly Event[]> {
  return (await readLog(logOf(data, point))).filter((event) => event.id === id);
}

async function alarmsOf(point: string): Promise<readonly AlarmEvent[]> {
  const events = await readLog(logOf(data, point));
  return events.filter((event) => event.kind === 'alarm');
}

interface Listening {
  /** Connections that ended without having been trusted. */
  readonly failed: number;
  /** Whatever anybody said to it under TLS. */
  readonly received: string;
  close(): Promise<void>;
}

/** Listens where the authority would, with somebody else's certificate, and takes down what it hears. */
async function listenAs(
  svid: { chain: readonly Uint8Array[]; keyPem: string },
  port: number,
): Promise<Listening> {
  const heard = { failed: 0, received: '' };
  const server: Server = createServer(
    serverTlsOptions({ svid: () => svid, clientCertificates: 'request' }),
    (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        heard.received += chunk.toString('latin1');
      });
      socket.on('close', () => {
        heard.failed++;
      });
    },
  );
  server.on('tlsClientError', () => {
    heard.failed++;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    get failed() {
      return heard.failed;
    },
    get received() {
      return heard.received;
    },
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}
