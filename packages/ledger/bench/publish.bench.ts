import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  nodeDisk,
  openCheckpoint,
  openLog,
  parseVerifierKey,
  publishTiles,
  TileTree,
  tileFolder,
  verifierKey,
  verifyInclusion,
  verifyTiles,
} from '@countersign/ledger';

// What publishing, verifying what was published, and a proof out of tiles cost.

const ENTRIES = Number(process.env['BENCH_ENTRIES'] ?? 300_000);
const BATCH = 100;
const PROOFS = 1000;
const origin = 'log.bank.example/bench';
const { privateKey } = generateKeyPairSync('ed25519');
const signer = ed25519NoteSigner({ name: origin, privateKey });
const vkey = verifierKey(origin, privateKey);
const verifiers = [parseVerifierKey(vkey)];
const folder = mkdtempSync(join(tmpdir(), 'countersign-publish-'));
const disk = nodeDisk(join(folder, 'log'));
const store = tileFolder(join(folder, 'published'));

async function grow(count: number): Promise<void> {
  const log = await openLog({ origin, signer, disk, now: Date.now });
  for (let done = 0; done < count; done += BATCH) {
    for (let at = 0; at < BATCH; at++) log.append(Buffer.alloc(461, log.nextIndex % 251));
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
}

async function measured(what: string, run: () => Promise<number>): Promise<void> {
  const [startedMs, cpu] = [performance.now(), process.cpuUsage()];
  const count = await run();
  const ms = performance.now() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  const perItem = (user + system) / count;
  console.log(`${what}: ${count} in ${ms.toFixed(0)} ms, ${perItem.toFixed(1)} µs CPU each`);
}

async function publish(): Promise<number> {
  const outcome = await publishTiles(disk, store, { verifierKey: vkey });
  if (outcome.kind !== 'published') throw new Error(outcome.kind);
  return outcome.size - outcome.from;
}

try {
  await grow(ENTRIES);
  await measured('published entries', publish);
  await grow(1000);
  await measured('published again, new entries', publish);
  await measured('verified entries', async () => {
    const { entries, problems } = await verifyTiles(store.read, { verifiers });
    if (problems.length > 0) throw new Error(problems[0]?.detail);
    return entries;
  });
  const note = Buffer.from((await store.read('checkpoint')) ?? []).toString();
  const checkpoint = openCheckpoint(note, verifiers);
  await measured('entries read, proven and checked', async () => {
    const tree = await TileTree.open(store.read, checkpoint);
    for (let at = 0; at < PROOFS; at++) {
      const index = (at * 7919) % checkpoint.size;
      const proof = await tree.inclusionProof(index);
      verifyInclusion(proof, { index, checkpoint, leaf: await tree.entry(index) });
    }
    return PROOFS;
  });
} finally {
  rmSync(folder, { recursive: true });
}
