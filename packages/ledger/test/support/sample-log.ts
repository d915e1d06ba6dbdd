import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ed25519NoteSigner,
  type Log,
  type LogDisk,
  type LogOptions,
  openLog,
  parseVerifierKey,
  verifierKey,
} from '@countersign/ledger';

export const ORIGIN = 'log.bank.example/gateway';

/** An Ed25519 key that is the same in every run (RFC 8410 §7 around 32 equal bytes). */
export function fixedKey(byte: number): KeyObject {
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, byte),
  ]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

export const key = fixedKey(1);
export const signer = ed25519NoteSigner({ name: ORIGIN, privateKey: key });
export const vkey = verifierKey(ORIGIN, key);
export const verifier = parseVerifierKey(vkey);

export function openSample(disk: LogDisk, options: Partial<LogOptions> = {}): Promise<Log> {
  return openLog({ origin: ORIGIN, signer, disk, now: () => 1_760_000_000_000, ...options });
}

export function entry(index: number): Buffer {
  return Buffer.from(`entry ${index} ${'x'.repeat(index % 7)}`);
}

/** Appends `counts` entries, one commit for each count. */
export async function appendCommits(log: Log, counts: readonly number[]): Promise<void> {
  for (const count of counts) {
    for (let at = 0; at < count; at++) log.append(entry(log.nextIndex));
    await log.durable(log.nextIndex - 1);
  }
}

/** A fresh folder and what removes it. */
export function temporaryFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ledger-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** The value, or a failure of the test that says which is missing. */
export function must<T>(value: T | undefined, what = 'value'): T {
  if (value === undefined) throw new Error(`expected ${what}`);
  return value;
}
