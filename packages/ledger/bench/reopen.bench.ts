import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  nodeDisk,
  openLog,
  parseVerifierKey,
  verifierKey,
  verifyLog,
} from '@countersign/ledger';

// How long a log takes to open and to verify: 300,000 entries of 461 bytes (two full segments and part of a
// third), 100 in a commit. Run: node --conditions=@countersign/source packages/ledger/bench/reopen.bench.ts

const ENTRIES = 300_000;
const origin = 'bench.example/log';
const { privateKey } = generateKeyPairSync('ed25519');
const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
try {
  const options = {
    origin,
    signer: ed25519NoteSigner({ name: origin, privateKey }),
    disk: nodeDisk(folder),
    now: Date.now,
  };
  const entry = randomBytes(461);
  const log = await openLog(options);
  while (log.nextIndex < ENTRIES) {
    for (let at = 0; at < 100; at++) log.append(entry);
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
  for (let round = 0; round < 3; round++) {
    const opening = performance.now();
    await (await openLog(options)).close();
    const verifying = performance.now();
    const verifiers = [parseVerifierKey(verifierKey(origin, privateKey))];
    const { size, checkpoints, problems } = await verifyLog(options.disk, { verifiers });
    const end = performance.now();
    console.log(
      `open ${Math.round(verifying - opening)} ms; verify ${Math.round(end - verifying)} ms ` +
        `(${size} entries, ${checkpoints} checkpoints, ${problems.length} problems)`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
