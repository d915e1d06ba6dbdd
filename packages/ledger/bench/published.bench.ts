import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  logProofs,
  nodeDisk,
  openLog,
  openTilePublisher,
  parseVerifierKey,
  proveEntry,
  provePublishedEntry,
  tileFolder,
  verifierKey,
} from '@countersign/ledger';

// What keeping a log published costs as it grows, and what proofs cost out of tiles, out of a segment and out of the whole log:
// 500,000 entries of 461 bytes, 500 in a commit.
// Run: node --conditions=@countersign/source packages/ledger/bench/published.bench.ts

const ENTRIES = 500_000;
const origin = 'bench.example/log';
const { privateKey } = generateKeyPairSync('ed25519');
const vkey = verifierKey(origin, privateKey);
const verifiers = [parseVerifierKey(vkey)];
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
try {
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const disk = nodeDisk(join(folder, 'log'));
  const log = await openLog({ origin, signer, disk, now: Date.now });
  const grow = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) {
      log.append(Buffer.from(`${log.nextIndex} `.padEnd(461, 'x')));
      if (log.nextIndex % 500 === 0) await log.durable(log.nextIndex - 1);
    }
    await log.durable(log.nextIndex - 1);
  };
  await grow(ENTRIES);
  const target = join(folder, 'published');
  const publisher = openTilePublisher(disk, tileFolder(target, { isBlocking: true }), {
    verifierKey: vkey,
    now: Date.now,
  });
  await measured('publishing all', () => publisher.publish(log.size));
  await grow(1);
  await measured('publishing 1 more, its place not known', () => publisher.publish(log.size));
  for (const count of [1, 1000, 4000]) {
    await grow(count);
    await measured(`publishing ${count} more`, () => publisher.publish(log.size));
  }
  const { read } = tileFolder(target);
  const asked = { index: 1234, role: 'subject', verifiers };
  await measured('evidence out of its segment', () => proveEntry(disk, asked));
  await measured('evidence out of tiles', () => provePublishedEntry(read, asked));
  await measured('first consistency proof, whole log', () =>
    logProofs(log).consistency(1000, log.size),
  );
  await grow(500);
  const proofs = logProofs(log, { published: { read, verifiers } });
  await measured('first consistency proof, tiles and the last 500', () =>
    proofs.consistency(1000, log.size),
  );
  await publisher.close();
  await log.close();
} finally {
  rmSync(folder, { recursive: true });
}

async function measured(what: string, work: () => Promise<unknown>): Promise<void> {
  const before = process.cpuUsage();
  const began = performance.now();
  await work();
  const milliseconds = (performance.now() - began).toFixed(1);
  const { user, system } = process.cpuUsage(before);
  console.log(`${what}: ${milliseconds} ms, CPU ${((user + system) / 1000).toFixed(1)} ms`);
}
