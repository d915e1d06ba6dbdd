import { LedgerError } from '../ledger-error.ts';
import type { LogDisk } from '../log.ts';

/** In the folder of a log whose entries were removed: its last checkpoint, as signed. */
export const REMOVAL_MARK = 'removed';

/** The folder beside a removed log's key that holds its tiles, in the standard's layout without entry bundles. */
export const PROOFS_FOLDER = 'proofs';

/**
 * The last checkpoint of a log whose entries were removed; nothing for any other folder. From the moment that it is
 * there the entries are gone, whatever a removal that did not finish left of them.
 */
export async function removedCheckpoint(disk: LogDisk): Promise<string | undefined> {
  if (!(await disk.list()).includes(REMOVAL_MARK)) return undefined;
  return Buffer.from(await disk.read(REMOVAL_MARK)).toString();
}

/** A log that begins anew in such a folder would be a second history under one origin. */
export function refuseRemoved(names: readonly string[]): void {
  if (!names.includes(REMOVAL_MARK)) return;
  throw new LedgerError(
    'ERR_LEDGER_REMOVED',
    `could not open log: found '${REMOVAL_MARK}' in its folder, which says that its entries were removed`,
  );
}
