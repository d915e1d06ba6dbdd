import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  ed25519NoteSigner,
  nodeDisk,
  openLog,
  parseVerifierKey,
  verifierKey,
  verifyLog,
} from '@countersign/ledger';
import { ENTRY_BYTES } from './measure-log.ts';

const PER_COMMIT = 500;

/** How long a log of `entries` takes to open for writing, and to verify whole, in milliseconds. */
export async function measureReopening(
  folder: string,
  entries: number,
): Promise<{ readonly openMs: number; readonly verifyMs: number }> {
  const origin = 'bench.example/log';
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = ed25519NoteSigner({ name: origin, privateKey });
  const options = { origin, signer, disk: nodeDisk(folder), now: Date.now };
  const entry = randomBytes(ENTRY_BYTES);
  const log = await openLog(options);
  while (log.nextIndex < entries) {
    for (let at = 0; at < PER_COMMIT; at++) log.append(entry);
    await log.durable(log.nextIndex - 1);
  }
  await log.close();
  const opening = performance.now();
  await (await openLog(options)).close();
  const verifying = performance.now();
  const verifiers = [parseVerifierKey(verifierKey(origin, privateKey))];
  const { problems } = await verifyLog(options.disk, { verifiers });
  if (problems.length > 0) throw new Error(`found ${problems.length} problems in a sound log`);
  return { openMs: verifying - opening, verifyMs: performance.now() - verifying };
}
