import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointSource } from '@countersign/audit';
import { openCheckpoint, parseVerifierKey } from '@countersign/ledger';
import type { DataFolder } from '../data-folder.ts';

/**
 * The log of checkpoints that the logs of a data folder are held against; nothing in a folder that no authority has
 * written to.
 *
 * @throws {LedgerError} when the checkpoint that witnesses cosigned is not one of this log
 */
export async function checkpointSource(data: DataFolder): Promise<CheckpointSource | undefined> {
  const folder = data.checkpointLog;
  const verifierKey = (await readIfThere(join(folder, 'vkey')))?.trim();
  if (verifierKey === undefined) return existsSync(data.authorityLog) ? { folder } : undefined;
  const cosigned = await readIfThere(join(data.cosigned, 'checkpoint'));
  if (cosigned === undefined) return { folder, verifierKey };
  const { size, root } = openCheckpoint(cosigned, [parseVerifierKey(verifierKey)]);
  return { folder, verifierKey, atLeast: { size, root } };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}
