import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  leafHash,
  nodeDisk,
  openLog,
  PROOFS_FOLDER,
  parseVerifierKey,
  proveKeptEntry,
  removeEntries,
  tileFolder,
  verifierKey,
  verifyRemovedLog,
} from '@countersign/ledger';

// What removing the entries of a log costs, verifying what is left, and a proof for who kept an entry.

const ENTRIES = Number(process.env['BENCH_ENTRIES'] ?? 300_000);
const BATCH = 100;
const PROOFS = 1000;
const origin = 'log.bank.example/bench';
const { privateKey } = generateKeyPairSync('ed25519');
const vkey = verifierKey(origin, privateKey);
const verifiers = [parseVerifierKey(vkey)];
const folder = mkdtempSync(join(tmpdir(), 'countersign-removal-'));
const disk = nodeDisk(folder);
const proofs = tileFolder(join(folder, PROOFS_FOLDER));
const entry = (index: number): Buffer => Buffer.alloc(461, index % 251);

async function measured(what: string, count: number, work: () => Promise<unknown>): Promise<void> {
  const [cpu, beganAt] = [process.cpuUsage(), performance.now()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - beganAt) / 1000;
  const each = ((user + system) / count).toFixed(1);
  console.log(`${what}: ${seconds.toFixed(1)} s, ${each} µs CPU each of ${count}`);
}

function bytesIn(path: string): number {
  return readdirSync(path, { withFileTypes: true })
    .map((found) => {
      const inner = join(path, found.name);
      return found.isDirectory() ? bytesIn(inner) : statSync(inner).size;
    })
    .reduce((sum, bytes) => sum + bytes, 0);
}

try {
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const log = await openLog({ origin, signer, disk, now: Date.now });
  while (log.nextIndex < ENTRIES) {
    for (let at = 0; at < BATCH; at++) log.append(entry(log.nextIndex));
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
  const before = bytesIn(folder);
  await measured('removing', ENTRIES, () => removeEntries(disk, proofs, { verifierKey: vkey }));
  const left = bytesIn(folder) / ENTRIES;
  console.log(`bytes an entry: ${(before / ENTRIES).toFixed(0)} before, ${left.toFixed(1)} left`);
  await measured('verifying what is left', ENTRIES, async () => {
    const { problems } = await verifyRemovedLog(disk, proofs.read, { verifiers });
    if (problems.length > 0) throw new Error(problems[0]?.detail);
  });
  await measured('proving a kept entry', PROOFS, async () => {
    for (let done = 0; done < PROOFS; done++) {
      const index = Math.floor(Math.random() * ENTRIES);
      const kept = { index, entry: entry(index), role: 'subject', verifiers };
      const { leaf } = await proveKeptEntry(proofs.read, kept);
      if (Buffer.compare(leaf, leafHash(entry(index))) !== 0) throw new Error('found another');
    }
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
