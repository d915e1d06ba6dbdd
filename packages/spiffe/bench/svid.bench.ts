import { generateKeyPairSync } from 'node:crypto';
import {
  createX509Authority,
  parseSpiffeId,
  softwareSigner,
  verifyX509Svid,
} from '@countersign/spiffe';

/** Issues and verifies for about two seconds each, and prints how many a second of CPU time. */
const authority = await createX509Authority({
  trustDomain: 'bank.example',
  signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  now: Date.now,
});
const spiffeId = parseSpiffeId('spiffe://bank.example/workload/payments/api');
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issue = () => authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 3600 });
const { chain } = await issue();
const bundles = new Map([['bank.example', [authority.certificate]]]);

await measure('issue a leaf, given the public key', issue);
await measure('issue with a new key', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  keys.privateKey.export({ format: 'der', type: 'pkcs8' });
  return authority.issueSvid({ spiffeId, publicKey: keys.publicKey, ttlSeconds: 3600 });
});
await measure('verify a leaf against one authority', () =>
  verifyX509Svid(chain, { bundles, now: Date.now }),
);

async function measure(what: string, run: () => unknown): Promise<void> {
  for (let count = 0; count < 500; count += 1) await run();
  const start = process.cpuUsage();
  const until = performance.now() + 2000;
  let runs = 0;
  for (; performance.now() < until; runs += 1) await run();
  const { user, system } = process.cpuUsage(start);
  console.log(
    `${what}: ${Math.round(runs / ((user + system) / 1e6))} per CPU-second (${chain[0]?.length} bytes)`,
  );
}
