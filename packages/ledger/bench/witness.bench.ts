import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CosignerKey,
  cosignerKey,
  createWitnessFolder,
  ed25519NoteSigner,
  encodeAddCheckpoint,
  logProofs,
  nodeDisk,
  openLog,
  openWitness,
  parseVerifierKey,
  verifierKey,
} from '@countersign/ledger';

// What a cosignature costs a witness (proof and signature checked, signed, written, synced), and what proofs over a log on
// disk cost who asks: a log of 300,000 entries of 300 bytes, the size of a checkpoint, 100 in a commit.
// Run: node --conditions=@countersign/source packages/ledger/bench/witness.bench.ts

const ENTRIES = 300_000;
const ROUNDS = 300;
const origin = 'bench.example/log';
const { privateKey } = generateKeyPairSync('ed25519');
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
try {
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const disk = nodeDisk(join(folder, 'log'));
  const log = await openLog({ origin, signer, disk, now: Date.now });
  const notes: string[] = [];
  while (log.nextIndex < ENTRIES) {
    for (let at = 0; at < 100; at++) log.append(Buffer.alloc(300, log.nextIndex));
    await log.durable(log.nextIndex - 1);
    notes.push(log.checkpoint());
  }
  const proofs = logProofs(log);
  const growing = performance.now();
  await proofs.consistency(1, ENTRIES);
  const grown = performance.now();
  console.log(`first proof: ${(((grown - growing) * 1000) / ENTRIES).toFixed(2)} µs an entry`);
  const bodies: Buffer[] = [];
  const proving = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    const from = round === 0 ? 0 : round * 1000;
    const checkpoint = notes[(round + 1) * 10 - 1] ?? '';
    const proof = await proofs.consistency(from, (round + 1) * 1000);
    bodies.push(Buffer.from(encodeAddCheckpoint({ oldSize: from, proof, checkpoint })));
  }
  console.log(`further proofs: ${((performance.now() - proving) / ROUNDS).toFixed(2)} ms each`);
  for (const kinds of [['ed25519'], ['ed25519', 'ml-dsa-44']] as const) {
    await cosignAll(kinds.map(makeKey), bodies);
  }
  await log.close();
} finally {
  rmSync(folder, { recursive: true });
}

function makeKey(kind: 'ed25519' | 'ml-dsa-44'): CosignerKey {
  const name = 'witness.example/bench';
  if (kind === 'ed25519') {
    return cosignerKey({ name, privateKey: generateKeyPairSync('ed25519').privateKey });
  }
  return cosignerKey({ name, privateKey: generateKeyPairSync('ml-dsa-44').privateKey });
}

async function cosignAll(keys: readonly CosignerKey[], bodies: readonly Buffer[]): Promise<void> {
  const disk = nodeDisk(join(folder, keys.map(({ kind }) => kind).join()));
  await createWitnessFolder(disk, keys);
  const verifiers = [parseVerifierKey(verifierKey(origin, privateKey))];
  const logs = [{ origin, verifiers }];
  const witness = await openWitness({ disk, keys, logs, now: Date.now });
  const times: number[] = [];
  const before = process.cpuUsage();
  for (const body of bodies) {
    const began = performance.now();
    const answer = await witness.addCheckpoint(body);
    if (answer.kind !== 'cosigned') throw new Error(JSON.stringify(answer));
    times.push(performance.now() - began);
  }
  const { user, system } = process.cpuUsage(before);
  await witness.close();
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(times.length * share)] ?? 0).toFixed(2);
  const cpu = ((user + system) / bodies.length / 1000).toFixed(2);
  const names = keys.map(({ kind }) => kind).join(' and ');
  console.log(`${names}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, CPU ${cpu} ms a cosignature`);
}
