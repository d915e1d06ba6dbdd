import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { LedgerError, type LogDisk, nodeDisk } from '@countersign/ledger';

/**
 * A log's folder for reading short stretches of it: without a turn through the thread pool for each opening, reading and
 * closing, which for the fifty rows of a page is most of what an answer takes. For a thread that has nothing else to do.
 */
export function segmentDisk(folder: string): LogDisk {
  return {
    ...nodeDisk(folder),
    async readAt(name, offset, length) {
      const file = openSync(join(folder, name), 'r');
      try {
        const bytes = Buffer.allocUnsafe(length);
        for (let filled = 0; filled < length; ) {
          const read = readSync(file, bytes, filled, length - filled, offset + filled);
          if (read === 0) {
            throw new LedgerError(
              'ERR_LEDGER_RANGE',
              `could not read file: found its end after ${filled} of ${length} bytes at offset ${offset}`,
            );
          }
          filled += read;
        }
        return bytes;
      } finally {
        closeSync(file);
      }
    },
  };
}
