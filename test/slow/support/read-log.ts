import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeDisk, parseVerifierKey, verifiedEntries } from '@countersign/ledger';
import { decodeEvent, type Event } from '@countersign/model';

/** The events of a log folder that are under a checkpoint: what nobody can take back any more. */
export async function readLog(folder: string): Promise<readonly Event[]> {
  const verifiers = [parseVerifierKey(readFileSync(join(folder, 'vkey'), 'utf8').trim())];
  const events: Event[] = [];
  for await (const { bytes } of verifiedEntries(nodeDisk(folder), { verifiers })) {
    events.push(decodeEvent(bytes));
  }
  return events;
}

/** The folder of a point's own log. */
export function logOf(data: string, point: string): string {
  return join(data, 'points', point, 'log');
}
