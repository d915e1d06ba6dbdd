/** Appends, signatures, and how long a change takes to every reader. Run from the root: see the README. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fact } from '@countersign/model';
import {
  FACTS_TYPE,
  feedRoutes,
  followFeed,
  localSigner,
  openBundleStore,
  openDatabase,
  openFactLog,
  signStatement,
  verifyStatement,
} from '@countersign/state';
import { fastify } from 'fastify';
import { Agent } from 'undici';

const READERS = 8;
const folder = mkdtempSync(join(tmpdir(), 'state-bench-'));
const database = openDatabase({ file: join(folder, 'state.db') });
const factLog = await openFactLog(database, { trustDomain: 'bank.example', now: Date.now });
const bundles = await openBundleStore(database);
const factSigner = localSigner(generateKeyPairSync('ed25519').privateKey, 'facts');

function fact(value: number): Fact {
  const uid = { type: 'Account', id: String(value % 100) };
  return { kind: 'entity', uid, attributes: { value }, parents: [] };
}

async function perSecond(name: string, count: number, run: (index: number) => unknown) {
  const start = process.cpuUsage();
  for (let index = 0; index < count; index += 1) await run(index);
  const { user, system } = process.cpuUsage(start);
  console.log(`${name}: ${Math.round(count / ((user + system) / 1e6))} per second of CPU`);
}

await perSecond('durable appends of one fact', 3000, (index) =>
  factLog.append({ puts: [fact(index)] }),
);
const statement = { kind: 'change', puts: [fact(1)] };
const jws = await signStatement(statement, { type: FACTS_TYPE, signer: factSigner });
await perSecond('statements signed', 5000, () =>
  signStatement(statement, { type: FACTS_TYPE, signer: factSigner }),
);
await perSecond('statements verified', 5000, () =>
  verifyStatement(jws, { type: FACTS_TYPE, keys: [factSigner.publicJwk] }),
);

const app = fastify();
await app.register(feedRoutes({ factLog, bundles, factSigner, authorize: () => true }));
await app.listen({ host: '127.0.0.1', port: 0 });
const agent = new Agent();
const waiting = new Set<() => void>();
let connected = 0;
const ready = new EventTarget();
const followers = Array.from({ length: READERS }, () =>
  followFeed({
    origin: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    dispatcher: agent,
    cursor: () => ({ factSequence: factLog.sequence, bundleSequence: 0 }),
    async accept(line) {
      const payload = Buffer.from(line.split('.')[1] ?? '', 'base64url').toString();
      if (JSON.parse(payload).kind === 'change') for (const done of waiting) done();
      return { taken: true };
    },
    onState(state) {
      if (state === 'connected') connected += 1;
      if (connected === READERS) ready.dispatchEvent(new Event('ready'));
    },
  }),
);
if (connected < READERS) await once(ready, 'ready');
const times: number[] = [];
for (let value = 0; value < 500; value += 1) {
  const start = performance.now();
  let left = READERS;
  const all = new Promise<void>((resolve) => {
    const done = () => {
      left -= 1;
      if (left === 0) resolve();
    };
    waiting.clear();
    waiting.add(done);
  });
  await factLog.append({ puts: [fact(value)] });
  await all;
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const at = (share: number) => (times[Math.floor(times.length * share)] ?? 0).toFixed(2);
console.log(`from append to ${READERS} readers: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
for (const follower of followers) await follower.close();
await agent.destroy();
await app.close();
await database.close();
rmSync(folder, { recursive: true });
